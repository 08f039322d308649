#include "tests/vm/clocks/guest.h"

#include <csignal>
#include <filesystem>

namespace zq::test {

using namespace std::chrono_literals;

namespace {

std::vector<std::string> inside(const TestNetns& netns, const std::vector<std::string>& argv) {
  std::vector<std::string> all{"/usr/bin/nsenter", "--net=/run/netns/" + netns.name(), "--"};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

// Ends it as its user would, so that it can clean up.
void end(std::unique_ptr<e2e::Running>& program) {
  if (!program) return;
  program->signal(SIGTERM);
  (void)program->wait(10s);
  program.reset();
}

}  // namespace

Guest::Guest(const TestNetns& netns, const std::string& address, const std::string& node,
             int drift_ppm, std::string relay)
    : relay_(std::move(relay)) {
  // adjtimex(2) counts 2^-16 ppm.
  const std::string line = fmt::format(
      "set -e; ip link set eth0 up; ip addr add {0}/16 dev eth0; "
      "busybox adjtimex -f {1} >/dev/null; mkdir -p /tmp/agent; "
      "socat TCP-LISTEN:{2},bind={0},fork,reuseaddr,nodelay TCP:127.0.0.1:{2},nodelay & "
      "{3}/zq_clock_server {0} {4} & "
      "exec {3}/zonequake-agent serve --node {5} --listen 127.0.0.1:{2} --state-dir /tmp/agent",
      address, drift_ppm * 65536, kAgentPort, ZQ_BIN_DIR, kClockPort, node);
  machine_ = std::make_unique<e2e::Running>(
      inside(netns, {std::string(ZQ_SOURCE_DIR) + "/scripts/vm", "run", "-t", "real", "-s", "1",
                     "-m", "1G", "-T", "400", "-i", "up0", "--", line}));
  forwarder_ = std::make_unique<e2e::Running>(
      inside(netns, {"/usr/bin/socat", "UNIX-LISTEN:" + relay_ + ",fork",
                     fmt::format("TCP:{}:{},nodelay", address, kAgentPort)}));
}

Guest::~Guest() {
  end(forwarder_);
  end(machine_);
}

bool Guest::wait_until_up(std::chrono::seconds within) {
  return machine_->wait_for_output("listens on", within);
}

ClockWatch::ClockWatch(const TestNetns& netns, const std::string& own, const std::string& address)
    : socket_(netns, own, 0),
      thread_([this, server = SocketAddress(address, kClockPort)] { watch(server); }) {}

void ClockWatch::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void ClockWatch::watch(const SocketAddress& server) {
  const timeval wait{0, 100'000};
  (void)::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  for (std::int64_t number = 1; !stop_; ++number) {
    std::int64_t words[2] = {number, 0};
    const MonoTime sent = mono_now();
    (void)socket_.send(server, words, sizeof words);
    do {  // an answer that came too late is passed over
      words[0] = 0;
    } while (::recv(socket_.fd(), words, sizeof words, 0) == sizeof words && words[0] < number);
    if (words[0] == number) {
      const MonoTime received = mono_now();
      const std::lock_guard lock(mutex_);
      exchanges_.push_back({sent, received, words[1]});
    }
    std::this_thread::sleep_for(10ms);
  }
}

std::optional<ClockWatch::Bounds> ClockWatch::offset_at(MonoTime instant, int max_ppm) const {
  std::optional<Bounds> result;
  const std::lock_guard lock(mutex_);
  for (const Exchange& exchange : exchanges_) {
    const Nanos away =
        instant > exchange.received ? instant - exchange.sent : exchange.received - instant;
    if (away > 2s) continue;
    const Nanos drift = away * max_ppm / 1'000'000;
    const Nanos low = Nanos{exchange.remote_ns - to_ns(exchange.received)} - drift;
    const Nanos high = Nanos{exchange.remote_ns - to_ns(exchange.sent)} + drift;
    if (!result) result = Bounds{low, high};
    result->low = std::max(result->low, low);
    result->high = std::min(result->high, high);
  }
  return result;
}

}  // namespace zq::test
