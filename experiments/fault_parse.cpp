#include "experiments/fault_parse.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "experiments/hint.h"
#include "experiments/impairment_parse.h"
#include "experiments/scope_parse.h"
#include "experiments/toml_language.h"
#include "experiments/value_reader.h"

namespace zq {

namespace {

using Keys = std::vector<std::string>;

struct FaultForm {
  std::string kind;
  FaultKind value;
  Keys keys;  // beside `kind` and `after`
};

Keys join(std::initializer_list<Keys> lists) {
  Keys all;
  for (const Keys& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

const std::vector<FaultForm>& fault_forms() {
  static const Keys kPackets = join({scope_keys(), {"flap", "lasts", "through"}});
  static const Keys kProcesses{"nodes", "system", "lasts", "through"};
  static const std::vector<FaultForm> kForms{
      {"partition", FaultKind::kPartition, join({{"between", "reject"}, kPackets})},
      {"one-way", FaultKind::kOneWay, join({{"from", "to", "reject"}, kPackets})},
      {"impair", FaultKind::kImpair,
       join({{"between", "from", "to"}, impairment_keys(), kPackets})},
      {"kill", FaultKind::kKill, kProcesses},
      {"stop", FaultKind::kStop, kProcesses},
      {"pause", FaultKind::kPause, kProcesses},
      {"restart", FaultKind::kRestart, {"nodes", "system"}},
      {"zone-down", FaultKind::kZoneDown, {"nodes", "lasts", "through"}},
      {"hook", FaultKind::kHook, {"nodes", "hook", "lasts", "through"}},
  };
  return kForms;
}

bool contains(const Keys& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

class FaultReader {
 public:
  FaultReader(TomlTable& table, const std::vector<std::string>& selections)
      : table_(table), report_(table.report()), selections_(selections) {}

  Fault read() {
    fault_.position = table_.position();
    const FaultForm* form = read_kind();
    if (form == nullptr) {
      for (const FaultForm& any : fault_forms()) {
        for (const std::string& key : any.keys) table_.ignore(key);
      }
      table_.ignore("after");
      table_.finish();
      return fault_;
    }
    refuse_others(*form);
    read_sides(*form);
    if (contains(form->keys, "reject")) fault_.reject = table_.boolean("reject").value_or(false);
    if (contains(form->keys, "ports")) {
      fault_.scope = read_scope(table_, 2 + fault_.more.size());
      read_flap();
    }
    if (fault_.kind == FaultKind::kImpair) read_impairments();
    if (const auto system = table_text(*form, "system")) fault_.system = system->value;
    if (contains(form->keys, "hook")) {
      const auto hook = table_.required_string("hook", "the name of a [[hook]] of the cluster");
      if (hook) fault_.hook = hook->value;
    }
    read_times(*form);
    table_.finish();
    return fault_;
  }

 private:
  const FaultForm* read_kind() {
    Keys kinds;
    for (const FaultForm& form : fault_forms()) kinds.push_back(form.kind);
    const auto kind = table_.required_string("kind", join_or(kinds));
    if (!kind) return nullptr;
    check_choice(*kind, kinds, "kind of fault", report_);
    const auto& forms = fault_forms();
    const auto form = std::find_if(forms.begin(), forms.end(), [&](const FaultForm& candidate) {
      return candidate.kind == kind->value;
    });
    if (form == forms.end()) return nullptr;
    fault_.kind = form->value;
    return &*form;
  }

  // Keys of other kinds, so that each is said to be what it is and not just unknown.
  void refuse_others(const FaultForm& form) {
    Keys refused;
    for (const FaultForm& other : fault_forms()) {
      for (const std::string& key : other.keys) {
        if (contains(form.keys, key) || contains(refused, key) || !table_.has(key)) continue;
        refused.push_back(key);
        Keys owners;
        for (const FaultForm& owner : fault_forms()) {
          if (contains(owner.keys, key)) owners.push_back("'" + owner.kind + "'");
        }
        table_.refuse(key, "'{}' belongs to faults of kind {}; kind '{}' takes {}", key,
                      join_or(owners), form.kind, fmt::format("{}", fmt::join(form.keys, ", ")));
      }
    }
  }

  void read_sides(const FaultForm& form) {
    if (contains(form.keys, "nodes")) {
      fault_.a = read_side("nodes");
      return;
    }
    const bool may_between = contains(form.keys, "between");
    const bool may_from = contains(form.keys, "from");
    const bool has_from = table_.has("from") || table_.has("to");
    if (may_between && (table_.has("between") || !may_from || !has_from)) {
      if (may_from && has_from) {
        report_.add(table_.key_position("between"),
                    "'between' is both directions, 'from' and 'to' are one; expected one form");
        table_.ignore("from");
        table_.ignore("to");
      }
      if (!table_.has("between")) {
        table_.add_missing("between", may_from
                                          ? "two or more selectors; or from and to, for one way"
                                          : "two or more selectors, like [\"cut\", \"!cut\"]");
      }
      return read_between(form);
    }
    table_.ignore("between");
    fault_.one_way = true;
    fault_.a = read_side("from");
    fault_.b = read_side("to");
  }

  void read_between(const FaultForm& form) {
    const auto sides = table_.strings("between");
    for (std::size_t i = 0; i < sides.size(); ++i) {
      auto selector = read_selector(sides[i], selections_, report_).value_or(Selector{});
      if (i == 0) {
        fault_.a = std::move(selector);
      } else if (i == 1) {
        fault_.b = std::move(selector);
      } else {
        fault_.more.push_back(std::move(selector));
      }
    }
    const TomlValue* value = table_.raw("between");
    const auto* list = value == nullptr ? nullptr : std::get_if<TomlList>(&value->data);
    if (list != nullptr && list->size() < 2) {
      report_.add(value->position,
                  "'{}' is between two or more selectors, like between = [\"cut\", \"!cut\"]; this "
                  "has {}",
                  form.kind, list->size());
    }
  }

  Selector read_side(std::string_view key) {
    const auto text =
        table_.required_string(key, "a selector, like \"zone:b\" or a name from [select]");
    if (!text) return {};
    return read_selector(*text, selections_, report_).value_or(Selector{});
  }

  std::optional<TomlString> table_text(const FaultForm& form, std::string_view key) {
    if (!contains(form.keys, key)) return std::nullopt;
    return table_.string(key);
  }

  void read_impairments() {
    auto read = read_impairment(table_, ImpairmentOf::kFault);
    if (!read) return;
    fault_.impairments = std::move(read->impairments);
    fault_.cross_section_bps = read->cross_section_bps;
  }

  void read_flap() {
    auto flap = table_.table("flap");
    if (!flap) return;
    const auto period = flap->duration("period");
    if (!flap->has("period")) flap->add_missing("period", "a duration, like \"10s\"");
    auto on = flap->duration("on");
    const TomlValue* duty = flap->raw("duty");
    if (flap->has("on") == (duty != nullptr)) {
      report_.add(flap->position(), "'flap' has {} 'on' {} 'duty'; expected one of them",
                  duty == nullptr ? "neither" : "both", duty == nullptr ? "nor" : "and");
    }
    flap->finish();
    if (duty != nullptr) {
      const auto share = read_probability_value(*duty, "duty", report_);
      if (share && period) on = from_seconds(*share * to_seconds(*period));
    }
    if (!period || !on) return;
    if (*on <= Nanos{0} || *on >= *period) {
      report_.add(flap->position(),
                  "the fault would be in force for {} of every {}; expected more than nothing and "
                  "less than all",
                  format_duration(*on), format_duration(*period));
    }
    fault_.period = *period;
    fault_.on = *on;
  }

  void read_times(const FaultForm& form) {
    if (const auto after = table_.duration("after")) fault_.after = *after;
    if (!contains(form.keys, "lasts")) return;
    fault_.lasts = table_.duration("lasts");
    if (fault_.lasts && *fault_.lasts <= Nanos{0}) {
      report_.add(table_.value_position("lasts"), "a fault cannot last {}; expected more than 0s",
                  format_duration(*fault_.lasts));
    }
    if (const auto through = table_.string("through")) fault_.through = through->value;
    if (table_.has("lasts") && table_.has("through")) {
      report_.add(table_.key_position("through"),
                  "'lasts' and 'through' in one fault; expected one of them, for its end");
    }
  }

  TomlTable& table_;
  TomlReport& report_;
  const std::vector<std::string>& selections_;
  Fault fault_;
};

}  // namespace

Fault read_fault(TomlTable& table, const std::vector<std::string>& selections) {
  return FaultReader(table, selections).read();
}

std::string_view to_string(FaultKind kind) {
  for (const FaultForm& form : fault_forms()) {
    if (form.value == kind) return form.kind;
  }
  return "";
}

}  // namespace zq
