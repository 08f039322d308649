// What a session keeps of the run that holds its node.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/dataplane/monitor.h"
#include "agent/process_control.h"
#include "agent/session.h"
#include "agent/throughput.h"

namespace zq {

struct Session::Run {
  Run(ArmOrder order_in, zonequake::ArmRequest request_in, Gate gate_in,
      const std::string& state_dir)
      : order(std::move(order_in)),
        request(std::move(request_in)),
        gate(std::move(gate_in)),
        processes(std::make_shared<ProcessControl>(state_dir)) {}

  ArmOrder order;
  zonequake::ArmRequest request;  // to recognise a repetition
  zonequake::ArmReply reply;
  std::vector<Uplink> uplinks;
  std::string everything_before;  // dump_everything() just before the first change
  Gate gate;
  std::optional<FilterMonitor> monitor;
  std::unique_ptr<PathProber> prober;      // this and the monitor: none once the run is let go
  std::unique_ptr<LeaseKeeper> keeper;     // uses the gate
  std::shared_ptr<Throughput> throughput;  // these two are shared with calls that wait
  std::shared_ptr<ProcessControl> processes;
  std::string processes_left;  // what of them could not be undone
  GateProgramme programme;
  std::vector<std::string> violations;
  std::optional<MonoTime> healed_at;
  // As it was at the heal, or why it could not be read then: afterwards it can no longer be told.
  Result<std::vector<WindowEvidence>> evidence;
  MonoTime inspect_at{};
  MonoTime release_at{};
};

}  // namespace zq
