// One master's copy of the registry: the acceptor of Paxos with one value, the whole registry,
// numbered by position. What it promises or accepts is in its file before it answers.
#pragma once

#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "agent/base/error.h"

namespace zq::calibration {

struct Vote {
  bool granted = false;
  std::uint64_t promised = 0;  // what the replica has promised, where it refuses: more than asked
  std::uint64_t accepted = 0;  // the proposal that wrote `value`; 0 = none did
  std::uint64_t position = 0;
  nlohmann::json value;

  [[nodiscard]] nlohmann::json to_json() const;
  static Vote from_json(const nlohmann::json& root);
};

class Replica {
 public:
  // kInput when the file is there and is not one of ours.
  static Result<std::unique_ptr<Replica>> open(const std::string& path);

  // No proposal below this one is accepted any more.
  Vote promise(std::uint64_t proposal);
  Vote write(std::uint64_t proposal, std::uint64_t position, const nlohmann::json& value);

 private:
  explicit Replica(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] bool save() const;

  std::string path_;
  std::mutex mutex_;
  Vote state_;
};

}  // namespace zq::calibration
