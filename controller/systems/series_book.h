// Remembers which series each probe of each node feeds, so that every answer speaks of all of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/systems/adapter.h"

namespace zq {

using SeriesId = std::pair<std::string, Labels>;  // signal, labels
using SeriesValues = std::map<SeriesId, std::optional<double>>;

class SeriesBook {
 public:
  // What an answer means for series that earlier answers of the probe named and this one does not.
  enum class Unnamed { kGone, kUnknown };

  // The answer's samples: `values` plus the remembered rest.
  std::vector<Sample> settle(const Answer& answer, const SeriesValues& values, Unnamed unnamed);

 private:
  std::map<std::pair<NodeId, std::string>, SeriesValues> known_;
};

}  // namespace zq
