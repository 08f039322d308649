#include "experiments/impairment_parse.h"

#include <algorithm>

#include "experiments/presets.h"
#include "experiments/toml_language.h"
#include "experiments/value_reader.h"

namespace zq {

namespace {

class ImpairmentReader {
 public:
  ImpairmentReader(TomlTable& table, ImpairmentOf of)
      : table_(table), report_(table.report()), of_(of) {}

  std::optional<ReadImpairment> read() {
    read_preset();
    read_delay();
    read_probabilities();
    read_rates();
    if (!good_) return std::nullopt;
    ReadImpairment result{.impairments = {}, .cross_section_bps = cross_section_};
    for (std::size_t step = 0; step < steps_; ++step) {
      Impairment one = base_;
      if (!delay_.empty()) one.delay = at(delay_, step);
      if (!loss_.empty()) one.loss = at(loss_, step);
      if (!duplicate_.empty()) one.duplicate = at(duplicate_, step);
      if (!corrupt_.empty()) one.corrupt = at(corrupt_, step);
      if (!reorder_.empty()) one.reorder = at(reorder_, step);
      if (!rate_.empty()) one.rate_bps = at(rate_, step);
      check_step(one, step);
      result.impairments.push_back(std::move(one));
    }
    if (!good_) return std::nullopt;
    return result;
  }

 private:
  template <class T>
  static const T& at(const std::vector<T>& series, std::size_t step) {
    return series.size() == 1 ? series.front() : series[step];
  }

  template <class... Args>
  void wrong(const Position& position, fmt::format_string<Args...> format, Args&&... args) {
    report_.add(position, format, std::forward<Args>(args)...);
    good_ = false;
  }

  void read_preset() {
    const auto name = table_.string("preset");
    if (!name) {
      good_ = good_ && !table_.has("preset");
      return;
    }
    const Preset* preset = find_preset(name->value);
    if (preset == nullptr) {
      std::vector<std::string> known;
      for (const Preset& one : presets()) known.push_back(one.name);
      check_choice(*name, known, "preset", report_);
      good_ = false;
      return;
    }
    base_.delay = preset->rtt / 2;
    if (table_.has("rate") || table_.has("cross_section")) return;
    if (preset->cross_section && of_ == ImpairmentOf::kFault) {
      cross_section_ = preset->bandwidth_bps;
    } else {
      base_.rate_bps = preset->bandwidth_bps;
    }
  }

  // The values of the key, of which there may be several in a fault only.
  template <class T>
  void read_values(std::string_view key, ReadValue<T> read_one, std::vector<T>& series) {
    const TomlValue* value = table_.raw(key);
    if (value == nullptr) return;
    series = read_series<T>(*value, key, read_one, report_);
    check_series(key, series.size());
  }

  void check_series(std::string_view key, std::size_t size) {
    if (size == 0) good_ = false;
    if (size <= 1) return;
    if (of_ == ImpairmentOf::kLink) {
      return wrong(table_.value_position(key), "'{}' of a link is one value; it does not change",
                   key);
    }
    if (steps_ != 1 && steps_ != size) {
      return wrong(table_.value_position(key),
                   "'{}' has {} steps, but '{}' has {}; ramps of one fault have the same length",
                   key, size, ramp_, steps_);
    }
    steps_ = size;
    ramp_ = key;
  }

  void read_delay() {
    read_values<Nanos>("delay", read_duration_value, delay_);
    if (table_.has("delay")) {
      if (table_.has("rtt")) {
        wrong(table_.key_position("rtt"),
              "'delay' and 'rtt' in one place; 'delay' is one way, 'rtt' is both ways together");
      }
      table_.ignore("rtt");
    } else {
      read_values<Nanos>("rtt", read_duration_value, delay_);
      for (Nanos& delay : delay_) delay /= 2;
    }
    if (const auto jitter = table_.duration("jitter")) {
      base_.jitter = *jitter;
    } else {
      good_ = good_ && !table_.has("jitter");
    }
    if (const TomlValue* correlation = table_.raw("correlation")) {
      const auto share = read_probability_value(*correlation, "correlation", report_);
      base_.delay_correlation = share.value_or(0);
      good_ = good_ && share.has_value();
    }
    if (const auto name = table_.string("distribution")) {
      good_ = read_distribution(*name, base_, report_) && good_;
    } else {
      good_ = good_ && !table_.has("distribution");
    }
  }

  void read_probabilities() {
    if (const TomlValue* loss = table_.raw("loss")) {
      loss_ = read_loss(*loss, report_);
      check_series("loss", loss_.size());
    }
    read_values<double>("duplicate", read_probability_value, duplicate_);
    read_values<double>("corrupt", read_probability_value, corrupt_);
    read_values<double>("reorder", read_probability_value, reorder_);
  }

  void read_rates() {
    read_values<std::uint64_t>("rate", read_rate_value, rate_);
    if (of_ == ImpairmentOf::kLink) {
      if (table_.has("cross_section")) good_ = false;
      table_.refuse("cross_section",
                    "'cross_section' belongs to faults; the 'rate' of a link is the total of each "
                    "direction");
      return;
    }
    const TomlValue* total = table_.raw("cross_section");
    if (total == nullptr) return;
    if (table_.has("rate")) {
      wrong(table_.key_position("cross_section"),
            "'rate' and 'cross_section' in one fault; 'rate' is of each node, 'cross_section' is "
            "the total of a side");
    }
    const auto rate = read_rate_value(*total, "cross_section", report_);
    cross_section_ = rate.value_or(0);
    good_ = good_ && rate.has_value();
  }

  void check_step(const Impairment& step, std::size_t number) {
    Impairment whole = step;
    if (cross_section_ > 0) whole.rate_bps = cross_section_;
    const Status status = check(whole);
    if (status || !good_) return;  // one step tells
    if (steps_ == 1) return wrong(table_.position(), "{}", status.error().message);
    wrong(table_.value_position(ramp_), "step {} of the ramp: {}", number + 1,
          status.error().message);
  }

  TomlTable& table_;
  TomlReport& report_;
  ImpairmentOf of_;
  bool good_ = true;
  Impairment base_;  // what does not change
  std::vector<Nanos> delay_;
  std::vector<LossModel> loss_;
  std::vector<double> duplicate_, corrupt_, reorder_;
  std::vector<std::uint64_t> rate_;
  std::uint64_t cross_section_ = 0;
  std::size_t steps_ = 1;
  std::string ramp_;  // the key that set `steps_`
};

}  // namespace

const std::vector<std::string>& impairment_keys() {
  static const std::vector<std::string> kKeys{
      "preset", "delay",     "rtt",     "jitter",  "correlation", "distribution",
      "loss",   "duplicate", "corrupt", "reorder", "rate",        "cross_section"};
  return kKeys;
}

std::optional<ReadImpairment> read_impairment(TomlTable& table, ImpairmentOf of) {
  return ImpairmentReader(table, of).read();
}

}  // namespace zq
