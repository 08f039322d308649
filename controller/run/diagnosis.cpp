#include "controller/run/diagnosis.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace zq {
namespace {

constexpr std::string_view kRoot = "ffff:ffff";  // TC_H_ROOT as dumps write it
constexpr const char* kOffloadNote =
    "loss, duplicates, reordering and corruption act on packets as the kernel carries them, which "
    "with segmentation offload are units of up to 64 KiB; each run shows how many wire packets "
    "they were";

std::vector<std::string> texts(const google::protobuf::RepeatedPtrField<std::string>& list) {
  return {list.begin(), list.end()};
}

// Everything but the node's name and its agent's address.
std::string body_of(const NodeDiagnosis& node) {
  if (node.address.empty()) return "  no agent; the nodes on the other side do its part\n";
  if (!node.error.empty()) return fmt::format("  UNREACHABLE  {}\n", node.error);
  const zonequake::DescribeReply& reply = node.reply;
  std::string text = fmt::format("  agent {} on {}\n", reply.version(), reply.kernel());
  for (const std::string& missing : reply.missing()) text += "  MISSING      " + missing + "\n";
  for (const zonequake::Capability& one : reply.capabilities()) {
    text += fmt::format("  {:<8}     {}{}{}\n", one.present() ? "ok" : "MISSING", one.name(),
                        one.text().empty() ? "" : ": ", one.text());
  }
  for (const std::string& ahead : reply.ahead()) text += "  AHEAD        " + ahead + "\n";
  if (!reply.holder().empty()) text += "  HELD         by run " + reply.holder() + "\n";
  for (const std::string& root : root_qdiscs(reply.dump())) {
    text += "  root qdisc   " + root + ", which stays as it is\n";
  }
  return text;
}

}  // namespace

std::vector<std::string> NodeDiagnosis::problems() const {
  if (address.empty()) return {};
  if (!error.empty()) return {error};
  std::vector<std::string> problems = texts(reply.missing());
  for (const zonequake::Capability& one : reply.capabilities()) {
    if (!one.present()) {
      problems.push_back(one.text().empty() ? one.name() : one.name() + ": " + one.text());
    }
  }
  for (const std::string& ahead : reply.ahead()) {
    problems.push_back(ahead + " stands ahead of the gate and could blind it");
  }
  if (!reply.holder().empty()) problems.push_back("held by run " + reply.holder());
  if (reply.node() != node) {
    problems.push_back(fmt::format("the agent at {} says that it is {}", address, reply.node()));
  }
  return problems;
}

std::vector<NodeDiagnosis> diagnose(const Cluster& cluster,
                                    const std::vector<std::string>& addresses,
                                    std::vector<Result<zonequake::DescribeReply>> replies) {
  std::vector<NodeDiagnosis> nodes;
  for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
    NodeDiagnosis& node = nodes.emplace_back();
    node.node = cluster.nodes[i].name;
    node.address = addresses[i];
    if (node.address.empty()) continue;
    if (replies[i]) {
      node.reply = std::move(*replies[i]);
    } else {
      node.error = replies[i].error().message;
    }
  }
  return nodes;
}

std::vector<std::string> root_qdiscs(const std::string& dump) {
  // "qdisc DEVICE KIND handle H parent PARENT options ..."
  std::vector<std::string> roots;
  std::istringstream lines(dump);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string what, device, kind, word, handle, parent;
    words >> what >> device >> kind >> word >> handle >> word >> parent;
    if (what == "qdisc" && parent == kRoot) roots.push_back(fmt::format("{}: {}", device, kind));
  }
  return roots;
}

std::string render_diagnosis(const std::vector<NodeDiagnosis>& nodes) {
  std::vector<std::pair<std::string, std::vector<std::string>>> alike;  // text -> nodes
  for (const NodeDiagnosis& node : nodes) {
    const std::string body = body_of(node);
    auto known = std::find_if(alike.begin(), alike.end(),
                              [&](const auto& entry) { return entry.first == body; });
    if (known == alike.end()) known = alike.insert(alike.end(), {body, {}});
    known->second.push_back(node.node);
  }
  std::string text;
  for (const auto& [body, names] : alike)
    text += fmt::format("{}\n{}", fmt::join(names, " "), body);
  text += fmt::format("note: {}\n", kOffloadNote);
  const auto troubled = std::count_if(nodes.begin(), nodes.end(), [](const NodeDiagnosis& node) {
    return !node.problems().empty();
  });
  text += troubled == 0 ? std::string("every experiment can run\n")
                        : fmt::format(
                              "{} of {} nodes lack something; experiments that need it are refused "
                              "before they touch anything\n",
                              troubled, nodes.size());
  return text;
}

std::string diagnosis_json(const std::vector<NodeDiagnosis>& nodes) {
  using nlohmann::json;
  json list = json::array();
  bool complete = true;
  for (const NodeDiagnosis& node : nodes) {
    json capabilities = json::array();
    for (const zonequake::Capability& one : node.reply.capabilities()) {
      capabilities.push_back(
          {{"name", one.name()}, {"present", one.present()}, {"text", one.text()}});
    }
    json uplinks = json::array();
    for (const zonequake::Uplink& uplink : node.reply.uplinks()) uplinks.push_back(uplink.device());
    complete = complete && node.problems().empty();
    list.push_back({{"node", node.node},
                    {"agent", node.address},
                    {"agentless", node.address.empty()},
                    {"error", node.error},
                    {"version", node.reply.version()},
                    {"kernel", node.reply.kernel()},
                    {"holder", node.reply.holder()},
                    {"uplinks", std::move(uplinks)},
                    {"root_qdiscs", root_qdiscs(node.reply.dump())},
                    {"ahead", texts(node.reply.ahead())},
                    {"missing", texts(node.reply.missing())},
                    {"capabilities", std::move(capabilities)},
                    {"problems", node.problems()}});
  }
  const json document = {{"complete", complete}, {"note", kOffloadNote}, {"nodes", list}};
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace zq
