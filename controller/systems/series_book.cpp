#include "controller/systems/series_book.h"

namespace zq {

std::vector<Sample> SeriesBook::settle(const Answer& answer, const SeriesValues& values,
                                       Unnamed unnamed) {
  SeriesValues& known = known_[{answer.node, answer.probe}];
  for (auto& [id, value] : known) {
    value = unnamed == Unnamed::kGone ? std::optional<double>(0.0) : std::nullopt;
  }
  for (const auto& [id, value] : values) known[id] = value;
  std::vector<Sample> samples;
  samples.reserve(known.size());
  for (const auto& [id, value] : known) {
    samples.push_back(Sample{id.first, id.second, answer.at, value});
  }
  return samples;
}

}  // namespace zq
