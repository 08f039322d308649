#include "agent/path_prober.h"

#include "agent/path_receiver.h"
#include "agent/path_sender.h"
#include "agent/path_socket.h"

namespace zq {

class PathProber::Impl {
 public:
  std::vector<PathSocket> sockets;
  std::unique_ptr<PathSender> sender;
  std::unique_ptr<PathReceiver> receiver;  // calls the sender: ends first
};

Result<std::unique_ptr<PathProber>> PathProber::start(const PathProberConfig& config) {
  auto impl = std::make_unique<Impl>();
  if (config.port != 0) {
    for (const auto& own : config.own) {
      ZQ_TRY(auto socket, open_path_socket(own, config.port));
      impl->sockets.push_back(std::move(socket));
    }
  }
  ZQ_TRY(impl->sender, PathSender::start(config, impl->sockets));
  PathSender* const sender = impl->sender.get();
  ZQ_TRY(impl->receiver, PathReceiver::start(config.run, impl->sockets,
                                             [sender](const PathPacket& echo, const IpAddress& from,
                                                      std::int64_t now_ns) {
                                               sender->take_echo(echo, from, now_ns);
                                             }));
  return std::unique_ptr<PathProber>(new PathProber(std::move(impl)));
}

PathProber::PathProber(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PathProber::~PathProber() = default;

void PathProber::set_programme(const std::vector<GateRule>& rules) {
  impl_->sender->set_programme(rules);
}

PathCounts PathProber::measure() { return {impl_->sender->measure(), impl_->receiver->measure()}; }

}  // namespace zq
