#include "tests/calibration/scheduler/election.h"

#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

namespace zq::scheduler {

namespace {

constexpr std::size_t kSequenceDigits = 10;
constexpr std::string_view kMark = "-latch-";

std::string sequence(const std::string& node) { return node.substr(node.size() - kSequenceDigits); }

}  // namespace

std::vector<std::string> in_order(std::vector<std::string> children) {
  std::erase_if(children, [](const std::string& name) {
    const auto mark = name.rfind(kMark);
    return mark == std::string::npos || name.size() != mark + kMark.size() + kSequenceDigits;
  });
  std::sort(children.begin(), children.end(),
            [](const std::string& a, const std::string& b) { return sequence(a) < sequence(b); });
  return children;
}

Result<Election> Election::enter(ZooKeeper& zookeeper, const std::string& path,
                                 const std::string& address) {
  ZQ_CHECK(zookeeper.make_path(path));
  const auto uuid = to_string(boost::uuids::random_generator()());
  ZQ_TRY(const auto created,
         zookeeper.create_ephemeral_sequential(path + "/_c_" + uuid + std::string(kMark), address));
  return Election(zookeeper, path, created.substr(path.size() + 1));
}

Result<Election::Standing> Election::look() {
  ZQ_TRY(auto children, zookeeper_->children(path_));
  const auto latches = in_order(std::move(children));
  Standing standing;
  standing.present = std::find(latches.begin(), latches.end(), node_) != latches.end();
  standing.leads = !latches.empty() && latches.front() == node_;
  if (latches.empty()) return standing;
  const auto leader = zookeeper_->get(path_ + "/" + latches.front());
  if (leader) standing.leader = *leader;
  return standing;
}

}  // namespace zq::scheduler
