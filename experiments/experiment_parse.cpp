// TOML -> Experiment, with everything that can be wrong about it without knowing the cluster.
#include <algorithm>
#include <array>
#include <utility>

#include "experiments/bulk.h"
#include "experiments/experiment.h"
#include "experiments/fault_parse.h"
#include "experiments/hint.h"
#include "experiments/names.h"
#include "experiments/system_kind.h"
#include "experiments/toml_language.h"
#include "experiments/toml_reader.h"
#include "experiments/workload_parse.h"

namespace zq {
namespace {

constexpr std::string_view kBaseline = "baseline";
constexpr std::string_view kRecovery = "recovery";

// Selectors give these a meaning of their own.
bool is_reserved(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kNames{
      "all", "outside", "one", "leader", "majority", "minority", "zone_of", "node_of", "region_of"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

class ExperimentReader {
 public:
  ExperimentReader(Experiment& experiment, TomlReport& report)
      : experiment_(experiment), report_(report) {}

  void read(TomlTable root) {
    if (const auto title = root.required_string("title", "what happens, in one sentence")) {
      experiment_.title = title->value;
    }
    const auto caveat =
        root.required_string("caveat", "the caveat that it tests, like \"T1-C2\", or \"control\"");
    if (caveat) experiment_.caveat = caveat->value;
    if (const auto page = root.string("page")) experiment_.page = page->value;
    read_needs(root);
    read_select(root);
    read_limits(root);
    read_steady(root);
    read_verify(root);
    experiment_.workloads = read_workloads(root, selections_);
    check_throughput();
    read_phases(root);
    read_expectations(root);
    root.finish();
  }

 private:
  void read_needs(TomlTable& root) {
    auto table = root.table("needs");
    if (!table) return;
    Needs& needs = experiment_.needs;
    needs.position = table->position();
    std::vector<std::string> known = system_kinds();
    known.insert(known.end(), {"scheduler", "master", "coordinator"});
    for (const TomlString& system : table->strings("systems")) {
      check_choice(system, known, "kind of system", report_);
      needs.systems.push_back(system.value);
    }
    if (const auto zones = table->integer("zones", {1, 1000})) {
      needs.zones = static_cast<unsigned>(*zones);
    }
    if (const auto regions = table->integer("regions", {1, 1000})) {
      needs.regions = static_cast<unsigned>(*regions);
    }
    if (const auto masters_in = table->string("masters_in")) {
      check_choice(*masters_in, {"one zone", "different zones", "one region"}, "place of masters",
                   report_);
      needs.masters_in = masters_in->value;
    }
    table->finish();
  }

  void read_select(TomlTable& root) {
    auto table = root.table("select");
    if (!table) return;
    for (const auto& [name, text] : table->named_strings()) {
      check_name(name, NameRule::kWord, "selection", report_);
      if (is_reserved(name.value)) {
        report_.add(name.position, "'{}' has a meaning of its own in selectors; use another name",
                    name.value);
      }
      // A name stays usable when its selector is wrong, so that one mistake is reported once.
      auto selector = read_selector(text, selections_, report_);
      selections_.push_back(name.value);
      if (selector) experiment_.select.push_back({name.value, std::move(*selector)});
    }
  }

  void read_limits(TomlTable& root) {
    auto table = root.table("limits");
    if (!table) return;
    Limits& limits = experiment_.limits;
    if (const auto zones = table->integer("max_zones_cut", {0, 1000})) {
      limits.max_zones_cut = static_cast<unsigned>(*zones);
    }
    limits.quorum_loss = table->boolean("quorum_loss").value_or(false);
    if (auto text = table->string("abort_if")) {
      limits.abort_after = take_for(*text, report_);
      limits.abort_if = read_condition(*text, report_);
    }
    table->finish();
  }

  void read_steady(TomlTable& root) {
    auto table = root.table("steady");
    if (!table) return;
    SteadyState& steady = experiment_.steady;
    for (const TomlString& text : table->strings("holds")) {
      auto condition = read_condition(text, report_);
      if (!condition) continue;
      if (condition->uses_baseline()) {
        report_.add(text.position,
                    "there is no baseline yet when the steady state is awaited; compare with "
                    "numbers or replicas");
      }
      steady.holds.push_back(std::move(*condition));
    }
    if (const auto hold_for = table->duration("for")) steady.hold_for = *hold_for;
    if (const auto timeout = table->duration("timeout")) steady.timeout = *timeout;
    if (steady.timeout <= steady.hold_for) {
      report_.add(table->value_position(table->has("timeout") ? "timeout" : "for"),
                  "the steady state must hold for {}, but is awaited for {} only; set a longer "
                  "'timeout'",
                  format_duration(steady.hold_for), format_duration(steady.timeout));
    }
    table->finish();
  }

  void read_verify(TomlTable& root) {
    auto table = root.table("verify");
    if (!table) return;
    Verification& verify = experiment_.verify;
    verify.position = table->position();
    verify.throughput = table->boolean("throughput").value_or(false);
    if (const auto tolerance = table->duration("delay_tolerance")) {
      verify.delay_tolerance = *tolerance;
      if (*tolerance <= Nanos{0}) {
        report_.add(table->value_position("delay_tolerance"),
                    "'delay_tolerance' is {}; no measurement is that exact",
                    format_duration(*tolerance));
      }
    }
    table->finish();
  }

  // Both would write the same series, and share what the border lets through.
  void check_throughput() {
    if (!experiment_.verify.throughput || !has_bulk(experiment_)) return;
    report_.add(experiment_.verify.position,
                "[verify] throughput and a [[workload]] of bulk data in one experiment; bulk data "
                "measures what goes through all the time: expect something of net.throughput_mbps");
  }

  void read_phases(TomlTable& root) {
    auto tables = root.tables("phase");
    UniqueNames names("phase");
    for (TomlTable& table : tables) {
      Phase phase;
      phase.position = table.position();
      phase.name = read_name(table, "name", NameRule::kWord, "phase", names);
      if (const auto lasts =
              table.required_string("lasts", "seconds, like \"10s\" or \"election_max + 5s\"")) {
        if (auto seconds = read_seconds(*lasts, "lasts", report_))
          phase.lasts = std::move(*seconds);
        check_lasts(*lasts, phase.lasts);
      }
      for (TomlTable& fault : table.tables("fault")) {
        phase.faults.push_back(read_fault(fault, selections_));
        const std::string& through = phase.faults.back().through;
        if (through.empty()) continue;
        throughs_.push_back(
            {experiment_.phases.size(), {through, fault.value_position("through")}});
      }
      table.finish();
      experiment_.phases.push_back(std::move(phase));
    }
    check_phase_order(root, tables);
    for (const auto& [phase, through] : throughs_) check_through(phase, through);
  }

  // Nothing is in force in the last phase, so that a fault ends before it.
  void check_through(std::size_t phase, const TomlString& through) {
    std::vector<std::string> later;
    for (std::size_t i = phase + 1; i + 1 < experiment_.phases.size(); ++i) {
      later.push_back(experiment_.phases[i].name);
    }
    if (std::find(later.begin(), later.end(), through.value) != later.end()) return;
    report_.add(through.position,
                "'{}' is no later phase between '{}' and '{}'{}; without 'through' a fault ends "
                "with its own phase",
                through.value, experiment_.phases[phase].name, kRecovery,
                nearest_hint(through.value, later, "there are"));
  }

  void check_lasts(const TomlString& text, const Expression& lasts) {
    if (lasts.empty()) return;
    const auto* number = std::get_if<NumberExpr>(&lasts.root().value);
    if (number != nullptr && number->value <= 0) {
      report_.add(text.position, "a phase cannot last {}; expected more than 0s", text.value);
    }
  }

  void check_phase_order(const TomlTable& root, const std::vector<TomlTable>& tables) {
    const auto& phases = experiment_.phases;
    if (phases.size() < 2) {
      report_.add(root.value_position("phase"),
                  "an experiment has at least two [[phase]]s, 'baseline' first and 'recovery' "
                  "last; this has {}",
                  phases.size());
      return;
    }
    for (std::size_t i = 0; i < phases.size(); ++i) {
      const bool first = i == 0;
      const bool last = i + 1 == phases.size();
      const std::string_view wanted = first ? kBaseline : last ? kRecovery : "";
      const std::string& name = phases[i].name;
      if (!wanted.empty() && name != wanted) {
        report_.add(tables[i].value_position("name"), "the {} phase must be '{}', not '{}'",
                    first ? "first" : "last", wanted, name);
      } else if (wanted.empty() && (name == kBaseline || name == kRecovery)) {
        report_.add(tables[i].value_position("name"), "'{}' must be the {} phase", name,
                    name == kBaseline ? "first" : "last");
      } else if (!wanted.empty() && !phases[i].faults.empty()) {
        report_.add(phases[i].faults.front().position,
                    "phase '{}' must be without faults; put them into a phase between 'baseline' "
                    "and 'recovery'",
                    name);
      }
    }
  }

  void read_expectations(TomlTable& root) {
    UniqueNames ids("expectation");
    for (TomlTable& table : root.tables("expect")) {
      Expectation expectation;
      expectation.position = table.position();
      expectation.id = read_name(table, "id", NameRule::kWord, "expectation", ids);
      if (const auto page = table.string("page")) expectation.page = page->value;
      if (const auto during = table.required_string("during", "the name of a phase")) {
        expectation.during = during->value;
        std::vector<std::string> phases;
        for (const Phase& phase : experiment_.phases) phases.push_back(phase.name);
        if (!phases.empty()) check_choice(*during, phases, "phase", report_);
      }
      read_statement(table, expectation);
      read_within(table, expectation);
      if (const auto hold = table.duration("for")) expectation.hold = *hold;
      table.finish();
      experiment_.expectations.push_back(std::move(expectation));
    }
    if (!root.has("expect")) {
      report_.add(root.position(),
                  "the experiment has no [[expect]], so that a run could say "
                  "nothing; expected at least one");
    }
  }

  void read_statement(TomlTable& table, Expectation& expectation) {
    static constexpr std::array kForms{std::pair("always", Temporal::kAlways),
                                       std::pair("never", Temporal::kNever),
                                       std::pair("eventually", Temporal::kEventually)};
    std::string_view chosen;
    for (const auto& [key, temporal] : kForms) {
      const auto text = table.string(key);
      if (!table.has(key)) continue;
      if (!chosen.empty()) {
        report_.add(table.key_position(key),
                    "'{}' and '{}' in one [[expect]]; expected exactly one of always, never and "
                    "eventually",
                    chosen, key);
        continue;
      }
      chosen = key;
      expectation.temporal = temporal;
      if (!text) continue;
      if (auto condition = read_condition(*text, report_)) {
        expectation.condition = std::move(*condition);
        check_baseline_use(*text, expectation);
      }
    }
    if (chosen.empty()) {
      report_.add(table.position(),
                  "expectation '{}' states nothing; expected exactly one of always, never and "
                  "eventually",
                  expectation.id);
    }
  }

  void check_baseline_use(const TomlString& text, const Expectation& expectation) {
    if (expectation.during == kBaseline && expectation.condition.uses_baseline()) {
      report_.add(text.position,
                  "the baseline is measured at the end of phase 'baseline', so that nothing in "
                  "this phase can be compared with it");
    }
  }

  void read_within(TomlTable& table, Expectation& expectation) {
    const bool needed = expectation.temporal == Temporal::kEventually && table.has("eventually");
    if (!needed) {
      table.refuse("within",
                   "'within' belongs to 'eventually'; 'always' and 'never' hold for the "
                   "whole phase");
      return;
    }
    const auto text = table.required_string("within", "a bound, like \"unreachable_max + 10s\"");
    if (text) expectation.within = read_seconds(*text, "within", report_);
  }

  Experiment& experiment_;
  TomlReport& report_;
  std::vector<std::string> selections_;                       // names, also of those that are wrong
  std::vector<std::pair<std::size_t, TomlString>> throughs_;  // with the phase of the fault
};

}  // namespace

Result<Experiment> parse_experiment(std::string text, const std::string& path) {
  Experiment experiment;
  experiment.path = path;
  experiment.text = std::move(text);
  ZQ_TRY(const TomlValue document, parse_toml(experiment.text, path));
  TomlReport report(experiment.text);
  ExperimentReader(experiment, report).read(TomlTable(document, "the experiment file", report));
  ZQ_CHECK(report.status());
  return experiment;
}

}  // namespace zq
