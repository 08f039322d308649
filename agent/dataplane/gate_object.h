// The gate's BPF object in the kernel: programs, address book, lease and counters. Held by
// descriptor, so that it goes when its last filter and its last descriptor do.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/gate.h"
#include "agent/dataplane/programme.h"
#include "agent/dataplane/shaper.h"

struct gate;

namespace zq {

class GateObject {
 public:
  // Loads programs and fills the book. kInput when the configuration contradicts itself.
  static Result<GateObject> load(const GateConfig& config);

  GateObject(GateObject&&) noexcept;
  GateObject& operator=(GateObject&&) noexcept;
  ~GateObject();

  [[nodiscard]] int program_fd(FlowDirection direction) const;
  [[nodiscard]] std::uint32_t program_id(FlowDirection direction) const;
  [[nodiscard]] Programme::Maps programme_maps() const;
  [[nodiscard]] int rejects_fd() const;                 // ring buffer of zq_rejected
  [[nodiscard]] std::uint64_t rejects_unheard() const;  // of which the buffer had no place
  [[nodiscard]] int line_fd() const;                    // liveness of the delay line
  [[nodiscard]] ShaperPrograms shaper_programs() const;
  void set_egress_lane(zq_lane lane) const;

  // Runs the lease program in the kernel: a length of 0 ends the lease.
  [[nodiscard]] Result<zq_renewal> run_lease(std::uint64_t length_ns) const;
  [[nodiscard]] Result<zq_lease> lease() const;
  // Of all CPUs, in the order of (group, direction).
  [[nodiscard]] Result<std::vector<GateCounter>> counters() const;

 private:
  struct Destroy {
    void operator()(::gate* skeleton) const;
  };
  explicit GateObject(::gate* skeleton);

  std::unique_ptr<::gate, Destroy> skeleton_;
  std::array<std::uint32_t, ZQ_DIRECTIONS> program_ids_{};
  std::uint32_t groups_ = 0;
};

}  // namespace zq
