// TOML -> Experiment, with everything that can be wrong about it without knowing the cluster.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "experiments/experiment.h"
#include "experiments/names.h"
#include "experiments/system_kind.h"
#include "experiments/toml_language.h"
#include "experiments/toml_reader.h"

namespace zq {
namespace {

constexpr std::string_view kBaseline = "baseline";
constexpr std::string_view kRecovery = "recovery";

// Selectors give these a meaning of their own.
bool is_reserved(std::string_view name) {
  static constexpr std::array<std::string_view, 8> kNames{
      "all", "outside", "one", "leader", "majority", "minority", "zone_of", "node_of"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

struct FaultForm {
  std::string_view kind;
  FaultKind value;
  std::vector<std::string_view> keys;
};
const std::array<FaultForm, 3>& fault_forms() {
  static const std::array<FaultForm, 3> kForms{
      FaultForm{"partition", FaultKind::kPartition, {"between"}},
      FaultForm{"one-way", FaultKind::kOneWay, {"from", "to"}},
      FaultForm{"kill", FaultKind::kKill, {"nodes", "after"}},
  };
  return kForms;
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
    read_workloads(root);
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
    known.insert(known.end(), {"scheduler", "coordinator"});
    for (const TomlString& system : table->strings("systems")) {
      check_choice(system, known, "kind of system", report_);
      needs.systems.push_back(system.value);
    }
    if (const auto zones = table->integer("zones", {1, 1000})) {
      needs.zones = static_cast<unsigned>(*zones);
    }
    if (const auto masters_in = table->string("masters_in")) {
      check_choice(*masters_in, {"one zone", "different zones"}, "place of masters", report_);
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

  void read_workloads(TomlTable& root) {
    UniqueNames systems("workload on system");
    for (TomlTable& table : root.tables("workload")) {
      Workload workload;
      workload.position = table.position();
      if (const auto system = table.required_string("system", "the name or kind of a system")) {
        workload.system = system->value;
        systems.add(*system, report_);
      }
      if (const auto every = table.duration("every")) {
        workload.every = *every;
        if (*every < std::chrono::milliseconds(1)) {
          report_.add(table.value_position("every"), "'every' is {}; expected 1ms or more",
                      format_duration(*every));
        }
      }
      table.finish();
      experiment_.workloads.push_back(std::move(workload));
    }
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
      for (TomlTable& fault : table.tables("fault")) phase.faults.push_back(read_fault(fault));
      table.finish();
      experiment_.phases.push_back(std::move(phase));
    }
    check_phase_order(root, tables);
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

  Fault read_fault(TomlTable& table) {
    Fault fault;
    fault.position = table.position();
    const auto kind = table.required_string("kind", "partition, one-way or kill");
    const auto& forms = fault_forms();
    const auto form = std::find_if(forms.begin(), forms.end(), [&](const FaultForm& candidate) {
      return kind && candidate.kind == kind->value;
    });
    if (form == forms.end()) {
      if (kind) {
        check_choice(*kind, {"partition", "one-way", "kill"}, "kind of fault", report_);
      }
      for (const FaultForm& any : forms) {
        for (const std::string_view key : any.keys) table.ignore(key);
      }
      table.finish();
      return fault;
    }
    fault.kind = form->value;
    for (const FaultForm& other : forms) {
      if (&other == &*form) continue;
      for (const std::string_view key : other.keys) {
        table.refuse(key, "'{}' belongs to faults of kind '{}'; kind '{}' takes {}", key,
                     other.kind, form->kind, fmt::format("{}", fmt::join(form->keys, " and ")));
      }
    }
    switch (fault.kind) {
      case FaultKind::kPartition:
        read_between(table, fault);
        break;
      case FaultKind::kOneWay:
        fault.a = read_side(table, "from");
        fault.b = read_side(table, "to");
        break;
      case FaultKind::kKill:
        fault.a = read_side(table, "nodes");
        if (const auto after = table.duration("after")) fault.after = *after;
        break;
      default:  // no form of these kinds is known yet
        break;
    }
    table.finish();
    return fault;
  }

  void read_between(TomlTable& table, Fault& fault) {
    const auto sides = table.strings("between");
    const bool two = sides.size() == 2;
    if (!two && (!table.has("between") || sides.size() != 0)) {
      report_.add(table.has("between") ? table.value_position("between") : table.position(),
                  "a partition is between two selectors, like between = [\"cut\", \"!cut\"]; "
                  "this has {}",
                  sides.size());
    }
    if (!two) return;
    if (auto selector = read_selector(sides[0], selections_, report_))
      fault.a = std::move(*selector);
    if (auto selector = read_selector(sides[1], selections_, report_))
      fault.b = std::move(*selector);
  }

  Selector read_side(TomlTable& table, std::string_view key) {
    const auto text = table.required_string(key,
                                            "a selector, like \"zone:b\" or a name from "
                                            "[select]");
    if (!text) return {};
    return read_selector(*text, selections_, report_).value_or(Selector{});
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
  std::vector<std::string> selections_;  // names, also of those that are wrong
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
