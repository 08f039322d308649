#include "agent/dataplane/gate_object.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <numeric>
#include <set>
#include <string>

#include "agent/dataplane/kernel_map.h"
#include "gate.skel.h"

namespace zq {
namespace {

constexpr std::uint32_t kMaxTransitZones = 1000;

static_assert(kMaxExemptions == ZQ_MAX_EXEMPTIONS);
static_assert(static_cast<int>(FlowDirection::kEgress) == ZQ_EGRESS &&
              static_cast<int>(FlowDirection::kIngress) == ZQ_INGRESS);

// libbpf reports through a process-wide printer; what it says while this thread loads is kept, so
// that an error can tell the verifier's or the kernel's reason.
thread_local std::string* captured_log = nullptr;

int capture_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (captured_log == nullptr || level != LIBBPF_WARN) return 0;
  char line[512];
  va_list copy;
  va_copy(copy, arguments);
  const int length = std::vsnprintf(line, sizeof line, format, copy);
  va_end(copy);
  constexpr std::size_t kKept = 4096;
  if (length > 0 && captured_log->size() < kKept) *captured_log += line;
  return length;
}

class LogCapture {
 public:
  LogCapture() : previous_(libbpf_set_print(capture_log)) { captured_log = &text_; }
  ~LogCapture() {
    captured_log = nullptr;
    libbpf_set_print(previous_);
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  // On one line, for an error message.
  [[nodiscard]] std::string text() const {
    std::string line = text_;
    while (!line.empty() && line.back() == '\n') line.pop_back();
    for (std::size_t at = 0; (at = line.find('\n', at)) != std::string::npos; ++at) {
      line.replace(at, 1, "; ");
    }
    return line;
  }

 private:
  std::string text_;
  libbpf_print_fn_t previous_;
};

zq_address to_kernel(const IpAddress& address) {
  zq_address result{};
  std::memcpy(result.word, address.bytes().data(), sizeof result.word);
  return result;
}

zq_exemption to_kernel(const GateExemption& exemption) {
  zq_exemption result{};
  result.any_address = exemption.any_address ? 1 : 0;
  result.v4 = exemption.prefix.is_v4() ? 1 : 0;
  result.protocol = exemption.protocol;
  result.port = htons(exemption.port);
  result.address = to_kernel(exemption.prefix.address());
  const unsigned bits = exemption.prefix.length() + (exemption.prefix.is_v4() ? 96U : 0U);
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned of_word = bits <= i * 32 ? 0 : std::min(32U, bits - i * 32);
    result.mask.word[i] = of_word == 0 ? 0 : htonl(~0U << (32 - of_word));
  }
  return result;
}

// The book, sorted into the maps that it goes to.
struct Book {
  std::vector<std::uint32_t> hosts4, hosts4_groups;
  std::vector<zq_address> hosts6;
  std::vector<std::uint32_t> hosts6_groups;
  std::vector<zq_prefix4> prefixes4;
  std::vector<std::uint32_t> prefixes4_groups;
  std::vector<zq_prefix6> prefixes6;
  std::vector<std::uint32_t> prefixes6_groups;
};

Result<Book> sort_book(const GateConfig& config) {
  Book book;
  std::set<IpPrefix> seen;
  const std::uint32_t groups = config.transit.zones != 0 ? config.transit.zones : config.groups;
  for (const BookAddress& entry : config.book) {
    const IpPrefix& prefix = entry.prefix;
    if (entry.group >= groups) {
      return fail(ErrorCode::kInput, "address book: {} is in group {}, but there are {} groups",
                  prefix.to_string(), entry.group, groups);
    }
    if (!seen.insert(prefix).second) {
      return fail(ErrorCode::kInput, "address book: {} is listed twice", prefix.to_string());
    }
    const zq_address address = to_kernel(prefix.address());
    if (prefix.is_v4() && prefix.is_host()) {
      book.hosts4.push_back(address.word[3]);
      book.hosts4_groups.push_back(entry.group);
    } else if (prefix.is_v4()) {
      book.prefixes4.push_back({prefix.length(), address.word[3]});
      book.prefixes4_groups.push_back(entry.group);
    } else if (prefix.is_host()) {
      book.hosts6.push_back(address);
      book.hosts6_groups.push_back(entry.group);
    } else {
      book.prefixes6.push_back({prefix.length(), address});
      book.prefixes6_groups.push_back(entry.group);
    }
  }
  return book;
}

void set_size(bpf_map* map, std::size_t entries) {
  bpf_map__set_max_entries(map, static_cast<std::uint32_t>(std::max<std::size_t>(entries, 1)));
}

Status fill_book(const ::gate& skeleton, const Book& book) {
  const auto fill = [](bpf_map* map, const auto& keys, const auto& groups) {
    return fill_map(bpf_map__fd(map), bpf_map__name(map), keys, groups);
  };
  ZQ_CHECK(fill(skeleton.maps.zq_hosts4, book.hosts4, book.hosts4_groups));
  ZQ_CHECK(fill(skeleton.maps.zq_hosts6, book.hosts6, book.hosts6_groups));
  ZQ_CHECK(fill(skeleton.maps.zq_prefixes4, book.prefixes4, book.prefixes4_groups));
  return fill(skeleton.maps.zq_prefixes6, book.prefixes6, book.prefixes6_groups);
}

Status check_transit(const GateConfig& config) {
  const GateTransit& transit = config.transit;
  if (transit.zones > kMaxTransitZones ||
      transit.groups.size() != std::size_t{transit.zones} * transit.zones) {
    return fail(ErrorCode::kInput, "{} groups for the pairs of {} zones (at most {})",
                transit.groups.size(), transit.zones, kMaxTransitZones);
  }
  for (const std::uint32_t group : transit.groups) {
    if (group == kNoGroup || group < config.groups) continue;
    return fail(ErrorCode::kInput, "a pair of zones is in group {}, but there are {} groups", group,
                config.groups);
  }
  return {};
}

Status fill_transit(const ::gate& skeleton, const GateTransit& transit) {
  std::vector<std::uint32_t> pairs(transit.groups.size());
  std::iota(pairs.begin(), pairs.end(), 0);
  return fill_map(bpf_map__fd(skeleton.maps.zq_transit), "zq_transit", pairs, transit.groups);
}

Result<std::uint32_t> id_of(const bpf_program* program) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0) {
    return fail_errno(errno, "asking for the gate's program id");
  }
  return info.id;
}

}  // namespace

void GateObject::Destroy::operator()(::gate* skeleton) const { gate__destroy(skeleton); }
GateObject::GateObject(::gate* skeleton) : skeleton_(skeleton) {}
GateObject::GateObject(GateObject&&) noexcept = default;
GateObject& GateObject::operator=(GateObject&&) noexcept = default;
GateObject::~GateObject() = default;

Result<GateObject> GateObject::load(const GateConfig& config) {
  constexpr std::uint32_t kMaxGroups = 1U << 24;
  if (config.groups == 0 || config.groups > kMaxGroups || config.own_group >= config.groups) {
    return fail(ErrorCode::kInput, "own group {} of {} groups: there must be 1 to {} and one's own",
                config.own_group, config.groups, kMaxGroups);
  }
  if (config.exempt.size() > kMaxExemptions) {
    return fail(ErrorCode::kInput, "{} exemptions: at most {} fit", config.exempt.size(),
                kMaxExemptions);
  }
  ZQ_CHECK(check_transit(config));
  ZQ_TRY(const Book book, sort_book(config));

  const LogCapture log;
  GateObject object(gate__open());
  ::gate* skeleton = object.skeleton_.get();
  if (skeleton == nullptr) return fail_errno(errno, "opening the gate's BPF object");
  skeleton->rodata->own_group = config.own_group;
  skeleton->rodata->transit_zones = config.transit.zones;
  skeleton->rodata->has_prefixes4 = book.prefixes4.empty() ? 0 : 1;
  skeleton->rodata->has_prefixes6 = book.prefixes6.empty() ? 0 : 1;
  skeleton->rodata->exemptions = static_cast<std::uint32_t>(config.exempt.size());
  for (std::size_t i = 0; i < config.exempt.size(); ++i) {
    skeleton->rodata->exemption[i] = to_kernel(config.exempt[i]);
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(config.uplinks.size(), ZQ_MAX_UPLINKS); ++i) {
    skeleton->rodata->uplink_slot[i] = config.uplinks[i].index;
  }
  set_size(skeleton->maps.zq_hosts4, book.hosts4.size());
  set_size(skeleton->maps.zq_hosts6, book.hosts6.size());
  set_size(skeleton->maps.zq_prefixes4, book.prefixes4.size());
  set_size(skeleton->maps.zq_prefixes6, book.prefixes6.size());
  set_size(skeleton->maps.zq_transit, config.transit.groups.size());
  set_size(skeleton->maps.zq_counters, std::size_t{config.groups} * ZQ_DIRECTIONS);
  if (const int rc = gate__load(skeleton); rc != 0) {
    return fail(ErrorCode::kKernel, "loading the gate into the kernel: {}{}{}", std::strerror(-rc),
                log.text().empty() ? "" : ": ", log.text());
  }
  ZQ_CHECK(fill_book(*skeleton, book));
  ZQ_CHECK(fill_transit(*skeleton, config.transit));
  ZQ_TRY(object.program_ids_[ZQ_EGRESS], id_of(skeleton->progs.zq_gate_egress));
  ZQ_TRY(object.program_ids_[ZQ_INGRESS], id_of(skeleton->progs.zq_gate_ingress));
  object.groups_ = config.groups;
  return object;
}

int GateObject::program_fd(FlowDirection direction) const {
  return bpf_program__fd(direction == FlowDirection::kEgress ? skeleton_->progs.zq_gate_egress
                                                             : skeleton_->progs.zq_gate_ingress);
}

std::uint32_t GateObject::program_id(FlowDirection direction) const {
  return program_ids_[static_cast<std::size_t>(direction)];
}

Programme::Maps GateObject::programme_maps() const {
  return {.programmes_fd = bpf_map__fd(skeleton_->maps.zq_programme),
          .evidences_fd = bpf_map__fd(skeleton_->maps.zq_evidences),
          .chances_fd = bpf_map__fd(skeleton_->maps.zq_chances)};
}

int GateObject::rejects_fd() const { return bpf_map__fd(skeleton_->maps.zq_rejects); }

std::uint64_t GateObject::rejects_unheard() const { return skeleton_->bss->rejects_unheard; }
int GateObject::line_fd() const { return bpf_map__fd(skeleton_->maps.zq_line); }

ShaperPrograms GateObject::shaper_programs() const {
  return {.steer_egress_fd = bpf_program__fd(skeleton_->progs.zq_steer_egress),
          .steer_ingress_fd = bpf_program__fd(skeleton_->progs.zq_steer_ingress),
          .class_fd = bpf_program__fd(skeleton_->progs.zq_class)};
}

void GateObject::set_egress_lane(zq_lane lane) const { skeleton_->bss->egress_lane = lane; }

Result<zq_renewal> GateObject::run_lease(std::uint64_t length_ns) const {
  std::array<std::uint8_t, ZQ_REQUEST_OFFSET + sizeof length_ns> packet{};
  std::memcpy(packet.data() + ZQ_REQUEST_OFFSET, &length_ns, sizeof length_ns);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = packet.data();
  options.data_size_in = packet.size();
  options.repeat = 1;
  if (bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.zq_lease_renew), &options) != 0) {
    return fail_errno(errno, "renewing the lease in the kernel");
  }
  if (options.retval != ZQ_RENEWED && options.retval != ZQ_LAPSED) {
    return fail(ErrorCode::kInternal, "the lease program answered {}", options.retval);
  }
  return static_cast<zq_renewal>(options.retval);
}

Result<zq_lease> GateObject::lease() const {
  const std::uint32_t key = 0;
  zq_lease value{};
  ZQ_CHECK(lookup_map(bpf_map__fd(skeleton_->maps.zq_lease), &key, &value));
  return value;
}

Result<std::vector<GateCounter>> GateObject::counters() const {
  std::vector<GateCounter> counters;
  const int fd = bpf_map__fd(skeleton_->maps.zq_counters);
  for (std::uint32_t index = 0; index < groups_ * ZQ_DIRECTIONS; ++index) {
    ZQ_TRY(const auto values, read_per_cpu<zq_counter>(fd, index));
    GateCounter& sum = counters.emplace_back();
    sum.direction = static_cast<FlowDirection>(index % ZQ_DIRECTIONS);
    sum.group = index / ZQ_DIRECTIONS;
    for (const zq_counter& value : values) {
      sum.passed_packets += value.passed_packets;
      sum.passed_bytes += value.passed_bytes;
      sum.dropped_packets += value.dropped_packets;
      sum.dropped_bytes += value.dropped_bytes;
      sum.exempt_packets += value.exempt_packets;
      sum.transit_packets += value.transit_packets;
      sum.rejected_packets += value.rejected_packets;
      sum.lost_packets += value.lost_packets;
      sum.duplicated_packets += value.duplicated_packets;
      sum.queued_packets += value.queued_packets;
      sum.unqueued_packets += value.unqueued_packets;
    }
  }
  return counters;
}

}  // namespace zq
