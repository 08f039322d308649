#include "tests/calibration/mesos/candidacy.h"

#include <algorithm>

#include "controller/systems/json.h"

namespace zq::calibration {

using nlohmann::json;
using scheduler::ZooKeeper;

namespace {

constexpr std::string_view kPrefix = "json.info_";
constexpr Nanos kConnect = std::chrono::seconds(2);

}  // namespace

std::vector<std::string> candidates_in_order(std::vector<std::string> children) {
  std::erase_if(children, [](const std::string& name) { return !name.starts_with(kPrefix); });
  std::ranges::sort(children);  // sequences are of one width
  return children;
}

Candidacy::Candidacy(scheduler::ZooKeeperUrl url, Nanos session_timeout, std::optional<json> info)
    : url_(std::move(url)), session_timeout_(session_timeout), info_(std::move(info)) {}

bool Candidacy::expired() const {
  if (session_->expired) return true;
  const std::int64_t since = session_->suspended_since;
  return since != 0 && mono_now() - mono_from_ns(since) >= session_timeout_;
}

bool Candidacy::connect() {
  session_ = std::make_shared<Session>();
  auto connected = ZooKeeper::connect(url_.hosts, session_timeout_, kConnect,
                                      [session = session_](ZooKeeper::Session state) {
                                        if (state == ZooKeeper::Session::kExpired)
                                          session->expired = true;
                                        if (state == ZooKeeper::Session::kConnected) {
                                          session->suspended_since = 0;
                                        } else if (session->suspended_since == 0) {
                                          session->suspended_since = to_ns(mono_now());
                                        }
                                      });
  if (!connected) return false;
  auto zookeeper = std::move(*connected);
  if (!zookeeper->make_path(url_.path)) return false;
  if (info_) {
    const auto created = zookeeper->create_ephemeral_sequential(
        url_.path + "/" + std::string(kPrefix), info_->dump());
    if (!created) return false;
    node_ = created->substr(url_.path.size() + 1);
  }
  zookeeper_ = std::move(zookeeper);
  return true;
}

Result<Candidacy::View> Candidacy::ask() {
  ZQ_TRY(auto children, zookeeper_->children(url_.path));
  const auto nodes = candidates_in_order(std::move(children));
  View view;
  view.known = true;
  std::map<std::string, json> infos;
  for (const auto& node : nodes) {
    auto found = infos_.find(node);
    if (found == infos_.end()) {
      const auto text = zookeeper_->get(url_.path + "/" + node);
      if (!text && text.error().code == ErrorCode::kNotFound) continue;
      if (!text) return tl::unexpected<Error>(text.error());
      found = infos_.emplace(node, parse_json(*text)).first;
    }
    infos.insert(*found);
    if (view.leader.is_null()) {
      view.leader = found->second;
      view.leads = node == node_;
    }
    if (node != node_) view.others.push_back(found->second);
  }
  infos_ = std::move(infos);
  return view;
}

Candidacy::View Candidacy::look() {
  if (zookeeper_ != nullptr && expired()) {
    zookeeper_.reset();
    node_.clear();
    infos_.clear();
    last_ = View{};
    return last_;
  }
  if (zookeeper_ == nullptr && !connect()) return View{};
  if (auto view = ask()) last_ = std::move(*view);
  return last_;
}

}  // namespace zq::calibration
