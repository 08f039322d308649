// Answers to ZooKeeper's four-letter words.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zq {

enum class ZooKeeperMode { kLeader, kFollower, kObserver, kStandalone };

struct ZooKeeperState {
  std::optional<ZooKeeperMode> mode;  // nothing: it says that it serves nobody
  std::string version;                // "3.8.0"; empty: not told
};
// Of `srvr`. Nothing when the answer is neither a state nor a refusal to serve (an empty answer, a
// word that is not on the whitelist).
std::optional<ZooKeeperState> parse_zookeeper_srvr(const std::string& body);

struct ZooKeeperConf {
  double tick = 0;                   // seconds
  double sync_limit = 0;             // ticks; 0: a server that stands alone
  double init_limit = 0;             // ticks
  std::optional<double> data_bytes;  // of the snapshot's directory: at least the newest snapshot
  std::vector<std::string> voters;   // addresses of the members that vote, as configured
};
// Of `conf`. Nothing without a tickTime: a server without a quorum does not tell.
std::optional<ZooKeeperConf> parse_zookeeper_conf(const std::string& body);

// One server of an ensemble as Exhibitor (GET /exhibitor/v1/cluster/status) sees it.
struct ExhibitorServer {
  std::string hostname;
  bool serves = false, leads = false;
};
std::optional<std::vector<ExhibitorServer>> parse_exhibitor_status(const std::string& body);

// Decimal digits with white space around them, up to nine.
std::optional<double> parse_whole_number(std::string_view text);

}  // namespace zq
