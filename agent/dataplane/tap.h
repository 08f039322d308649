// A TAP device of our own, through which packets reach user space with their offloads intact.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/netlink.h"

namespace zq {

// Frames that may wait for the reader: at 50,000 a second, 320 ms. Linux 6.1 refuses more than
// 32767.
inline constexpr std::uint32_t kTapQueueLength = 16384;

class Tap {
 public:
  // Makes the device in the calling thread's network namespace, up, without addresses of any kind.
  // It goes with this object, or with the process. kExists when there is a device of that name.
  static Result<Tap> make(const std::string& name);

  // Non-blocking. A read takes one frame: struct virtio_net_hdr, then the frame, whose 802.1ad tag
  // (if the packet had one) stands inline.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] unsigned index() const { return index_; }
  // Frames that the device dropped because the reader was behind; 0 when the device is gone. May be
  // called by any thread.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  // Apart, so that the object can be moved although it holds a mutex.
  struct Control {
    explicit Control(NetlinkSocket opened) : socket(std::move(opened)) {}
    std::mutex mutex;
    NetlinkSocket socket;
  };
  Tap(UniqueFd fd, unsigned index, std::unique_ptr<Control> control)
      : fd_(std::move(fd)), index_(index), control_(std::move(control)) {}

  UniqueFd fd_;
  unsigned index_ = 0;
  std::unique_ptr<Control> control_;
};

// kKernel when TAP devices with offloads cannot be made here, with what is missing. Makes nothing.
Status check_tap();

}  // namespace zq
