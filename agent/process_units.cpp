#include "agent/process_units.h"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "agent/base/time.h"

namespace zq {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kUnit = "org.freedesktop.systemd1.Unit";
constexpr const char* kPrivateSocket = "/run/systemd/private";
constexpr Nanos kCallPatience = std::chrono::seconds(2);

struct BusCloser {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
using BusHandle = std::unique_ptr<sd_bus, BusCloser>;

struct MessageCloser {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageCloser>;

struct FreeText {
  void operator()(char* text) const { std::free(text); }
};

class BusError {
 public:
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { sd_bus_error_free(&error_); }
  [[nodiscard]] sd_bus_error* get() { return &error_; }
  [[nodiscard]] std::string text(int code) const {
    return error_.message != nullptr ? error_.message : std::strerror(-code);
  }

 private:
  sd_bus_error error_{};
};

// `is_bus`: a message bus is there, and not systemd itself at the other end.
Result<BusHandle> open_bus(const std::string& address, bool is_bus) {
  sd_bus* raw = nullptr;
  int code = sd_bus_new(&raw);
  BusHandle bus(raw);
  if (code >= 0) code = sd_bus_set_address(raw, address.c_str());
  if (code >= 0) code = sd_bus_set_bus_client(raw, is_bus ? 1 : 0);
  if (code >= 0)
    code = sd_bus_set_method_call_timeout(raw, kCallPatience / std::chrono::microseconds(1));
  if (code >= 0) code = sd_bus_start(raw);
  if (code < 0) {
    return fail(ErrorCode::kUnavailable, "systemd at {}: {}", address, std::strerror(-code));
  }
  return bus;
}

Result<std::string> text_property(sd_bus* bus, const std::string& path, const char* interface,
                                  const char* name) {
  BusError error;
  char* raw = nullptr;
  const int code =
      sd_bus_get_property_string(bus, kService, path.c_str(), interface, name, error.get(), &raw);
  const std::unique_ptr<char, FreeText> text(raw);
  if (code < 0) return fail(ErrorCode::kUnavailable, "systemd: {}: {}", name, error.text(code));
  return std::string(raw);
}

// The interface that knows the unit's cgroup.
const char* interface_of(const std::string& unit) {
  if (unit.ends_with(".scope")) return "org.freedesktop.systemd1.Scope";
  if (unit.ends_with(".slice")) return "org.freedesktop.systemd1.Slice";
  return "org.freedesktop.systemd1.Service";
}

}  // namespace

struct Units::Bus {
  BusHandle handle;
};

Status check_unit_name(const std::string& unit) {
  const bool kind =
      unit.ends_with(".service") || unit.ends_with(".scope") || unit.ends_with(".slice");
  const bool signs = std::all_of(unit.begin(), unit.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view(":-_.\\@").find(c) != std::string_view::npos;
  });
  if (kind && signs && unit.size() < 256 && unit.front() != '.') return {};
  return fail(ErrorCode::kInput,
              "unit '{}': write the full name of a systemd unit that has processes, for example "
              "'zookeeper.service'",
              unit);
}

Result<Units> Units::connect() {
  Result<BusHandle> handle;
  if (const char* address = std::getenv("DBUS_SYSTEM_BUS_ADDRESS"); address != nullptr) {
    handle = open_bus(address, !std::string_view(address).ends_with("/private"));
  } else if (::access(kPrivateSocket, R_OK | W_OK) == 0) {
    handle = open_bus(fmt::format("unix:path={}", kPrivateSocket), false);
  } else {
    handle = open_bus("unix:path=/run/dbus/system_bus_socket", true);
  }
  if (!handle) return tl::unexpected(std::move(handle).error());
  Units units(std::make_unique<Bus>(Bus{std::move(*handle)}));
  // The connection is made in the background: this is the first thing that needs it.
  ZQ_TRY(const std::string ignored, units.version());
  return units;
}

Units::Units(std::unique_ptr<Bus> bus) : bus_(std::move(bus)) {}
Units::Units(Units&&) noexcept = default;
Units& Units::operator=(Units&&) noexcept = default;
Units::~Units() = default;

Result<std::string> Units::version() {
  return text_property(bus_->handle.get(), kManagerPath, kManager, "Version");
}

Result<UnitState> Units::state(const std::string& unit) {
  ZQ_CHECK(check_unit_name(unit));
  sd_bus* const bus = bus_->handle.get();
  BusError error;
  sd_bus_message* raw = nullptr;
  int code = sd_bus_call_method(bus, kService, kManagerPath, kManager, "LoadUnit", error.get(),
                                &raw, "s", unit.c_str());
  const Message reply(raw);
  const char* object = nullptr;
  if (code >= 0) code = sd_bus_message_read(raw, "o", &object);
  if (code < 0) return fail(ErrorCode::kRefused, "unit {}: {}", unit, error.text(code));
  const std::string path = object;

  ZQ_TRY(const std::string loaded, text_property(bus, path, kUnit, "LoadState"));
  if (loaded != "loaded") {
    return fail(ErrorCode::kRefused, "unit {} is {} on this node: see systemctl status {}", unit,
                loaded, unit);
  }
  UnitState state;
  ZQ_TRY(state.active, text_property(bus, path, kUnit, "ActiveState"));
  ZQ_TRY(state.cgroup, text_property(bus, path, interface_of(unit), "ControlGroup"));
  sd_bus_message* raw_job = nullptr;
  code =
      sd_bus_get_property(bus, kService, path.c_str(), kUnit, "Job", error.get(), &raw_job, "(uo)");
  const Message job(raw_job);
  std::uint32_t id = 0;
  if (code >= 0) code = sd_bus_message_read(raw_job, "(uo)", &id, nullptr);
  if (code < 0) return fail(ErrorCode::kUnavailable, "unit {}: {}", unit, error.text(code));
  state.job = id != 0;
  return state;
}

Status Units::queue(const char* method, const std::string& unit) {
  ZQ_CHECK(check_unit_name(unit));
  BusError error;
  sd_bus_message* raw = nullptr;
  const int code = sd_bus_call_method(bus_->handle.get(), kService, kManagerPath, kManager, method,
                                      error.get(), &raw, "ss", unit.c_str(), "replace");
  const Message reply(raw);
  if (code < 0) {
    return fail(ErrorCode::kUnavailable, "unit {}: {}: {}", unit, method, error.text(code));
  }
  return {};
}

Status Units::start(const std::string& unit) { return queue("StartUnit", unit); }
Status Units::stop(const std::string& unit) { return queue("StopUnit", unit); }
Status Units::restart(const std::string& unit) { return queue("RestartUnit", unit); }

}  // namespace zq
