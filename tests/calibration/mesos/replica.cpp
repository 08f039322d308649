#include "tests/calibration/mesos/replica.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "controller/systems/json.h"

namespace zq::calibration {

using nlohmann::json;

json Vote::to_json() const {
  return {{"granted", granted},
          {"promised", promised},
          {"accepted", accepted},
          {"position", position},
          {"value", value}};
}

Vote Vote::from_json(const json& root) {
  Vote vote;
  const auto number = [&](const char* key) {
    const json* const found = json_at(root, {key});
    return found != nullptr && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  };
  vote.granted = json_bool(root, {"granted"}).value_or(false);
  vote.promised = number("promised");
  vote.accepted = number("accepted");
  vote.position = number("position");
  if (const json* const value = json_at(root, {"value"})) vote.value = *value;
  return vote;
}

Result<std::unique_ptr<Replica>> Replica::open(const std::string& path) {
  std::unique_ptr<Replica> replica(new Replica(path));
  std::ifstream file(path);
  if (!file) return replica;
  std::stringstream text;
  text << file.rdbuf();
  const json root = parse_json(text.str());
  if (!root.is_object()) {
    return fail(ErrorCode::kInput,
                "{} is no registry replica; remove it to start with an empty one", path);
  }
  replica->state_ = Vote::from_json(root);
  return replica;
}

// Whole or not at all, and not before it is on the disk.
bool Replica::save() const {
  const std::string next = path_ + ".next";
  const std::string text = state_.to_json().dump();
  const int file = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool written =
      ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::fdatasync(file) == 0;
  ::close(file);
  std::error_code error;
  if (written) std::filesystem::rename(next, path_, error);
  return written && !error;
}

Vote Replica::promise(std::uint64_t proposal) {
  const std::lock_guard lock(mutex_);
  Vote answer = state_;
  answer.granted = false;
  if (proposal <= state_.promised) return answer;
  const auto before = state_.promised;
  state_.promised = proposal;
  answer.promised = proposal;
  answer.granted = save();
  if (!answer.granted) state_.promised = before;
  return answer;
}

Vote Replica::write(std::uint64_t proposal, std::uint64_t position, const json& value) {
  const std::lock_guard lock(mutex_);
  Vote answer;
  answer.promised = state_.promised;
  if (proposal < state_.promised) return answer;
  const Vote before = state_;
  state_.promised = proposal;
  state_.accepted = proposal;
  state_.position = position;
  state_.value = value;
  answer.granted = save();
  if (!answer.granted) state_ = before;
  return answer;
}

}  // namespace zq::calibration
