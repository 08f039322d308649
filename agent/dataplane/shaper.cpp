#include "agent/dataplane/shaper.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "agent/base/netns.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/canonical.h"
#include "agent/dataplane/htb.h"
#include "agent/dataplane/lanes.h"
#include "agent/dataplane/netem.h"
#include "agent/dataplane/shaper_lane.h"
#include "agent/dataplane/steering.h"

namespace zq {
namespace {

// Headers in front of what the MTU counts, with tags.
constexpr std::uint32_t kLinkHeaders = 64;

bool needs_netem(const Impairment& impairment) {
  return impairment.delay > Nanos{0} || impairment.corrupt > 0 || impairment.reorder > 0;
}

std::string describe(const QueueClass& queue) {
  return fmt::format("{} {} group {}", to_string(queue.impairment),
                     queue.direction == FlowDirection::kEgress ? "to" : "from", queue.group);
}

bool same(const QueueClass& a, const QueueClass& b) {
  return a.direction == b.direction && a.group == b.group && a.impairment == b.impairment;
}

}  // namespace

struct Shaper::Impl {
  Impl(NetlinkSocket opened, std::vector<Uplink> devices, const ShaperPrograms& of)
      : socket(std::move(opened)), uplinks(std::move(devices)), programs(of) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { (void)remove(Nanos{0}); }

  Status prepare(const std::vector<QueueClass>& classes);
  Status check_possible(const QueueClass& queue);
  Status prepare_direction(FlowDirection direction, const std::vector<QueueClass>& fresh);
  Lane* find_lane(FlowDirection direction);
  Result<Lane> make_lane(FlowDirection direction, bool with_line);
  Result<std::unique_ptr<DelayLine>> start_line();
  Status add_queues(Lane& lane, const std::vector<QueueClass>& queues);
  Status steer(Lane& lane);
  Result<std::vector<std::string>> steering_of(FlowDirection direction);
  [[nodiscard]] int steering_program(FlowDirection direction) const {
    return direction == FlowDirection::kEgress ? programs.steer_egress_fd
                                               : programs.steer_ingress_fd;
  }

  Result<QueueStates> states();
  Result<std::vector<std::string>> violations();
  Status remove(Nanos patience);
  Status wait_until_empty(Nanos patience);
  Status remove_lane(Lane& lane);

  NetlinkSocket socket;
  std::vector<Uplink> uplinks;
  ShaperPrograms programs;
  int liveness_map = -1;
  UniqueFd netns;
  std::optional<QueueSupport> support;
  std::uint32_t largest_frame = 0;
  std::vector<QueueClass> known;
  // Of one direction, packets are steered into the last. An earlier one is there as long as this
  // object, so that what it holds comes out.
  std::vector<Lane> lanes;
  QueueStates last_states;  // of lanes that are removed
};

// Names what the kernel lacks.
Status Shaper::Impl::check_possible(const QueueClass& queue) {
  const Impairment& impairment = queue.impairment;
  const auto refuse = [&](std::string_view why) -> Status {
    return fail(ErrorCode::kRefused, "this node cannot make {}: {}", describe(queue), why);
  };
  if (queue.id == 0 || queue.id > kMaxQueues) {
    return fail(ErrorCode::kInput, "queue {}: expected 1 to {}", queue.id, kMaxQueues);
  }
  if (!impairment.queues()) {
    return fail(ErrorCode::kInput, "queue {} has nothing to do: {}", queue.id, describe(queue));
  }
  if (!support->htb.empty()) return refuse("HTB is not in this kernel (" + support->htb + ")");
  const bool egress = queue.direction == FlowDirection::kEgress;
  const bool with_line = egress && impairment.delay > Nanos{0} && !support->netem.empty();
  if (!with_line && !support->ifb.empty()) {
    return refuse("ifb is not in this kernel (" + support->ifb + ")");
  }
  if (!needs_netem(impairment)) return {};
  if (!support->netem.empty()) {
    const std::string missing = "sch_netem is not in this kernel (" + support->netem + ")";
    if (!egress) return refuse(missing + ", and the delay line serves the sending side only");
    if (impairment.corrupt > 0) return refuse(missing + ", and nothing else corrupts packets");
    if (impairment.reorder > 0) return refuse(missing + ", and nothing else reorders packets");
    return {};
  }
  if (impairment.jitter > kMaxNetemJitter) {
    return refuse(
        fmt::format("sch_netem takes at most {} of jitter", format_duration(kMaxNetemJitter)));
  }
  const bool plain = impairment.corrupt == 0 && impairment.reorder == 0 &&
                     impairment.distribution == Distribution::kUniform;
  if (!plain && !support->netem_extras.empty()) {
    return refuse("sch_netem of this kernel does not take it (" + support->netem_extras + ")");
  }
  return {};
}

Status Shaper::Impl::prepare(const std::vector<QueueClass>& classes) {
  std::vector<QueueClass> fresh;
  for (const QueueClass& queue : classes) {
    const auto earlier = std::ranges::find(known, queue.id, &QueueClass::id);
    if (earlier == known.end()) {
      fresh.push_back(queue);
    } else if (!same(*earlier, queue)) {
      return fail(ErrorCode::kInternal, "queue {} was {} and cannot become {}", queue.id,
                  describe(*earlier), describe(queue));
    }
  }
  if (fresh.empty()) return {};
  if (lanes.empty()) last_states.clear();
  if (!support) support = probe_queue_support();
  for (const QueueClass& queue : fresh) ZQ_CHECK(check_possible(queue));
  for (const FlowDirection direction : kHooks) {
    std::vector<QueueClass> of_direction;
    std::ranges::copy_if(fresh, std::back_inserter(of_direction),
                         [&](const QueueClass& queue) { return queue.direction == direction; });
    if (!of_direction.empty()) ZQ_CHECK(prepare_direction(direction, of_direction));
  }
  return {};
}

Lane* Shaper::Impl::find_lane(FlowDirection direction) {
  Lane* found = nullptr;
  for (Lane& lane : lanes) {
    if (lane.direction == direction) found = &lane;
  }
  return found;
}

Status Shaper::Impl::prepare_direction(FlowDirection direction,
                                       const std::vector<QueueClass>& fresh) {
  const bool with_line = !support->netem.empty() && std::ranges::any_of(fresh, [](const auto& of) {
    return needs_netem(of.impairment);
  });
  Lane* lane = find_lane(direction);
  const bool new_lane = lane == nullptr || (with_line && !lane->line);
  if (new_lane) {
    ZQ_TRY(Lane made, make_lane(direction, with_line));
    // Packets of all queues go this way from now on.
    std::vector<QueueClass> earlier;
    if (lane != nullptr) {
      for (const Lane::Queue& queue : lane->queues) earlier.push_back(queue.queue);
    }
    lane = &lanes.emplace_back(std::move(made));
    ZQ_CHECK(add_queues(*lane, earlier));
  }
  ZQ_CHECK(add_queues(*lane, fresh));
  known.insert(known.end(), fresh.begin(), fresh.end());
  ZQ_TRY(lane->made, tree_of(socket, *lane));
  return new_lane ? steer(*lane) : Status();
}

Result<Lane> Shaper::Impl::make_lane(FlowDirection direction, bool with_line) {
  Lane lane;
  lane.direction = direction;
  if (with_line) {
    lane.device = kLineDevice;
    ZQ_TRY(lane.line, start_line());
    lane.index = lane.line->device_index();
  } else {
    lane.device = kLaneDevice[static_cast<std::size_t>(direction)];
    ZQ_TRY(lane.index, add_ifb(socket, lane.device));
  }
  const auto build = [&]() -> Status {
    ZQ_CHECK(add_htb_root(socket, lane.index));
    ZQ_CHECK(add_class_filter(socket, lane.index, programs.class_fd));
    return bring_up(socket, lane.index);
  };
  if (auto built = build(); !built) {
    (void)remove_lane(lane);
    return tl::unexpected<Error>(std::move(built).error().with_context("device " + lane.device));
  }
  return lane;
}

Result<std::unique_ptr<DelayLine>> Shaper::Impl::start_line() {
  DelayLine::Options options;
  options.device = kLineDevice;
  options.uplinks = uplinks;
  options.liveness_map_fd = liveness_map;
  Result<std::unique_ptr<DelayLine>> line;
  ZQ_CHECK(in_netns(netns.get(), [&] {
    line = DelayLine::start(options);
    return Status();
  }));
  return line;
}

Status Shaper::Impl::add_queues(Lane& lane, const std::vector<QueueClass>& queues) {
  if (largest_frame == 0) {
    ZQ_TRY(const auto links, list_links(socket));
    for (const Uplink& uplink : uplinks) {
      const Link* link = find_link(links, uplink.index);
      if (link == nullptr) return fail(ErrorCode::kKernel, "device {} went away", uplink.device);
      largest_frame = std::max(largest_frame, link->mtu + kLinkHeaders);
    }
  }
  for (const QueueClass& queue : queues) {
    Lane::Queue made{queue, shaper_numbers(queue.impairment, support->tbf.empty())};
    if (lane.line) {
      made.numbers.limit_packets = 0;  // the line holds what netem would
      made.in_tree = queue.impairment.rate_bps > 0;
    }
    if (made.in_tree) {
      if (auto added = add_queue(socket, lane.index, queue.id, queue.impairment, made.numbers,
                                 largest_frame);
          !added) {
        return tl::unexpected<Error>(std::move(added).error().with_context(
            fmt::format("{}, queue {} ({})", lane.device, queue.id, describe(queue))));
      }
    }
    lane.queues.push_back(std::move(made));
  }
  if (lane.line) {
    std::vector<QueueClass> classes;
    for (const Lane::Queue& queue : lane.queues) classes.push_back(queue.queue);
    lane.line->set_classes(classes);
  }
  return {};
}

Status Shaper::Impl::steer(Lane& lane) {
  for (const Uplink& uplink : uplinks) {
    ZQ_CHECK(set_steering_filter(socket, uplink, lane.direction, steering_program(lane.direction),
                                 lane.index));
  }
  ZQ_TRY(lane.steering, steering_of(lane.direction));
  return {};
}

// The steering filters as they are, sorted, with their programs.
Result<std::vector<std::string>> Shaper::Impl::steering_of(FlowDirection direction) {
  std::vector<std::string> lines;
  for (const Uplink& uplink : uplinks) {
    ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
    for (const TcObject& filter : filters) {
      if (!is_steering_filter(filter)) continue;
      lines.push_back(fmt::format("{} {}: program {}, {}", uplink.device, hook_name(direction),
                                  as_bpf_filter(filter)->program_id,
                                  canonical_filter(filter, uplink.device)));
    }
  }
  std::ranges::sort(lines);
  return lines;
}

Result<QueueStates> Shaper::Impl::states() {
  QueueStates states = last_states;
  for (const Lane& lane : lanes) ZQ_CHECK(add_states(socket, lane, states));
  return states;
}

Result<std::vector<std::string>> Shaper::Impl::violations() {
  std::vector<std::string> found;
  for (const Lane& lane : lanes) {
    ZQ_TRY(const auto of_lane, lane_violations(socket, lane, programs.class_fd));
    found.insert(found.end(), of_lane.begin(), of_lane.end());
    if (&lane != find_lane(lane.direction)) continue;
    ZQ_TRY(const auto steering, steering_of(lane.direction));
    for (const std::string& line : lane.steering) {
      if (std::ranges::binary_search(steering, line)) continue;
      found.push_back(line.substr(0, line.find(':')) + ": the steering filter is gone or changed");
    }
  }
  return found;
}

Status Shaper::Impl::wait_until_empty(Nanos patience) {
  constexpr auto kBetweenLooks = std::chrono::milliseconds(2);
  const MonoTime deadline = mono_now() + patience;
  for (;;) {
    std::uint64_t inside = 0;
    for (const Lane& lane : lanes) {
      ZQ_TRY(const std::uint64_t packets, packets_inside(socket, lane));
      inside += packets;
    }
    if (inside == 0 || mono_now() >= deadline) return {};
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

Status Shaper::Impl::remove_lane(Lane& lane) {
  if (lane.line) {
    lane.line.reset();  // the device goes with it
    return {};
  }
  ZQ_TRY([[maybe_unused]] const bool was_there, remove_link(socket, lane.index));
  return {};
}

Status Shaper::Impl::remove(Nanos patience) {
  if (lanes.empty()) return {};
  std::string errors;
  const auto note = [&](const auto& result) {
    if (!result) errors += (errors.empty() ? "" : "; ") + result.error().message;
  };
  note(wait_until_empty(patience));
  if (auto now = states(); now) {
    last_states = std::move(*now);
    for (auto& [id, state] : last_states) {
      state.discarded_packets += std::exchange(state.backlog_packets, 0);
    }
  } else {
    note(now);
  }
  // What is still inside must not come out after the steering filters are gone: at egress it would
  // carry the mark by which the kernel skips them, to the next filters that it meets.
  for (const Lane& lane : lanes) {
    if (!lane.line) {
      note(bring_down(socket, lane.index));
    }
  }
  for (const Uplink& uplink : uplinks) {
    for (const FlowDirection direction : kHooks) {
      if (find_lane(direction) != nullptr) {
        note(remove_steering_filter(socket, uplink, direction));
      }
    }
  }
  for (Lane& lane : lanes) note(remove_lane(lane));
  if (!errors.empty()) return fail(ErrorCode::kKernel, "removing the queues: {}", errors);
  lanes.clear();
  known.clear();
  return {};
}

Shaper::Shaper(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Shaper::Shaper(Shaper&&) noexcept = default;
Shaper& Shaper::operator=(Shaper&&) noexcept = default;
Shaper::~Shaper() = default;

Result<Shaper> Shaper::make(const std::vector<Uplink>& uplinks, const ShaperPrograms& programs) {
  ZQ_TRY(auto socket, NetlinkSocket::open());
  auto impl = std::make_unique<Impl>(std::move(socket), uplinks, programs);
  ZQ_TRY(impl->netns, open_netns("/proc/thread-self/ns/net"));
  return Shaper(std::move(impl));
}

Status Shaper::prepare(const std::vector<QueueClass>& classes) { return impl_->prepare(classes); }

Result<std::vector<QueueState>> Shaper::state() const {
  ZQ_TRY(const QueueStates states, impl_->states());
  std::vector<QueueState> list;
  for (const auto& [id, state] : states) list.push_back(state);
  return list;
}

bool Shaper::uses_delay_line() const {
  return std::ranges::any_of(impl_->lanes, [](const Lane& lane) { return lane.line != nullptr; });
}

void Shaper::set_liveness_map(int fd) { impl_->liveness_map = fd; }
Result<std::vector<std::string>> Shaper::violations() const { return impl_->violations(); }
Status Shaper::remove(Nanos patience) { return impl_->remove(patience); }

}  // namespace zq
