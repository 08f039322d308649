#include "agent/path_prober.h"

#include <algorithm>
#include <mutex>

#include "agent/path_receiver.h"
#include "agent/path_sender.h"
#include "agent/path_socket.h"

namespace zq {

class PathProber::Impl {
 public:
  std::vector<PathSocket> sockets;
  std::unique_ptr<PathSender> sender;
  std::unique_ptr<PathReceiver> receiver;  // calls the sender: ends first
  std::mutex stage_mutex;
  std::uint32_t stage = 0;
};

Result<std::unique_ptr<PathProber>> PathProber::start(const PathProberConfig& config) {
  auto impl = std::make_unique<Impl>();
  if (config.port != 0) {
    for (const auto& own : config.own) {
      ZQ_TRY(auto socket, open_path_socket(own, config.port));
      impl->sockets.push_back(std::move(socket));
    }
  }
  for (const bool v4 : {true, false}) {
    const bool wanted = std::any_of(
        config.targets.begin(), config.targets.end(),
        [v4](const auto& target) { return target.agentless && target.address.is_v4() == v4; });
    const auto own = std::find_if(config.own.begin(), config.own.end(),
                                  [v4](const auto& address) { return address.is_v4() == v4; });
    if (!wanted || own == config.own.end()) continue;
    ZQ_TRY(auto socket, open_echo_socket(*own));
    impl->sockets.push_back(std::move(socket));
  }
  ZQ_TRY(impl->sender, PathSender::start(config, impl->sockets));
  PathSender* const sender = impl->sender.get();
  ZQ_TRY(impl->receiver, PathReceiver::start(config.run, impl->sockets,
                                             [sender](const PathPacket& echo, const IpAddress& from,
                                                      std::int64_t at_ns) {
                                               sender->take_echo(echo, from, at_ns);
                                             }));
  return std::unique_ptr<PathProber>(new PathProber(std::move(impl)));
}

PathProber::PathProber(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PathProber::~PathProber() = default;

void PathProber::set_programme(const std::vector<GateRule>& rules) {
  impl_->sender->set_programme(rules);
}

void PathProber::begin_stage(std::uint32_t number) {
  const std::lock_guard lock(impl_->stage_mutex);
  if (number == 0) number = impl_->stage + 1;
  if (number <= impl_->stage) return;
  impl_->stage = number;
  impl_->receiver->begin_stage(number);
  impl_->sender->begin_stage(number);
}

PathCounts PathProber::measure() { return {impl_->sender->measure(), impl_->receiver->measure()}; }

}  // namespace zq
