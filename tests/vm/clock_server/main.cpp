// Answers datagrams with CLOCK_MONOTONIC of the machine that it runs on, in ns. usage: ADDRESS PORT
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "agent/base/time.h"
#include "agent/base/unique_fd.h"

int main(int argc, char** argv) {
  sockaddr_in own{};
  own.sin_family = AF_INET;
  if (argc != 3 || ::inet_pton(AF_INET, argv[1], &own.sin_addr) != 1) return 64;
  own.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  const zq::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
    std::cerr << "clock server: " << std::strerror(errno) << '\n';
    return 70;
  }
  for (;;) {
    std::int64_t words[2] = {};  // what was asked comes back first
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::recvfrom(fd.get(), words, sizeof words, 0, reinterpret_cast<sockaddr*>(&peer), &size) < 0)
      continue;
    words[1] = zq::to_ns(zq::mono_now());
    (void)::sendto(fd.get(), words, sizeof words, 0, reinterpret_cast<const sockaddr*>(&peer),
                   size);
  }
}
