// The write workload: unique values written one after the other into a replicated store, and read
// back afterwards. An acknowledged write that is not there any more was lost.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/probe/workload.h"

namespace zq {

// The store that is written to. One thread; every call ends within the time-out given at opening,
// or soon after a stop was requested.
class WriteTarget {
 public:
  WriteTarget() = default;
  virtual ~WriteTarget() = default;
  WriteTarget(const WriteTarget&) = delete;
  WriteTarget& operator=(const WriteTarget&) = delete;

  // `name` is appended to the prefix. Success only if the store said that the value is written; any
  // error leaves open whether it was.
  virtual Status put(const std::string& name, const std::string& value) = 0;
  // Everything under the prefix whose name begins with `start`, name -> value, as the store's
  // majority has it now.
  virtual Result<std::unordered_map<std::string, std::string>> read(const std::string& start) = 0;
  // Removes everything under the prefix whose name begins with `start`.
  virtual Status clean(const std::string& start) = 0;
};

struct WriteTargetOptions {
  std::string endpoint;
  std::string prefix;
  Nanos timeout;  // of one operation
  std::stop_token stop;
};

Result<std::unique_ptr<WriteTarget>> open_etcd(WriteTargetOptions options);
Result<std::unique_ptr<WriteTarget>> open_zookeeper(WriteTargetOptions options);
Result<std::unique_ptr<WriteTarget>> open_redis_sentinel(WriteTargetOptions options);

// `probe` must hold a WriteProbe. Fails when the kind, endpoint or prefix cannot be right, and for
// a probe that starts with reading back.
Result<std::unique_ptr<RunningWorkload>> start_write(const zonequake::Probe& probe);

}  // namespace zq
