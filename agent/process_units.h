// systemd's units, by D-Bus.
#pragma once

#include <memory>
#include <string>

#include "agent/base/error.h"

namespace zq {

struct UnitState {
  std::string active;  // "active", "inactive", "failed", "activating", ...
  std::string cgroup;  // below the root, with a slash in front; empty while nothing runs
  bool job = false;    // something is being done to it

  [[nodiscard]] bool runs() const { return active == "active" || active == "reloading"; }
  [[nodiscard]] bool starts() const { return active == "activating"; }
};

// One connection. One thread at a time.
class Units {
 public:
  // At DBUS_SYSTEM_BUS_ADDRESS where it is set (an address that ends in "/private" is systemd's own
  // socket, without a bus between), else systemd's own socket, else the system bus.
  // kUnavailable: systemd does not answer, or is not what runs this node.
  static Result<Units> connect();

  Units(Units&&) noexcept;
  Units& operator=(Units&&) noexcept;
  ~Units();

  [[nodiscard]] Result<std::string> version();
  // kRefused: there is no such unit, or it cannot be used (masked, bad setting).
  Result<UnitState> state(const std::string& unit);
  // These return when the job is queued; state().job says when it is done.
  Status start(const std::string& unit);
  Status stop(const std::string& unit);
  Status restart(const std::string& unit);

 private:
  struct Bus;
  explicit Units(std::unique_ptr<Bus> bus);
  Status queue(const char* method, const std::string& unit);

  std::unique_ptr<Bus> bus_;
};

// kInput when it is not the full name of a unit that has processes (.service, .scope, .slice).
Status check_unit_name(const std::string& unit);

}  // namespace zq
