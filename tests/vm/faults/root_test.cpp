// The device's own root qdisc stays as it is, whatever it is.
#include <fmt/core.h>

#include <cstdio>

#include "tests/vm/faults/border.h"

namespace zq::test {
namespace {

using namespace std::chrono_literals;

struct Root {
  const char* kind;
  const char* options = "";
  // After `tc ... dev up0`, where packets would not pass without: "class add ... ; filter add ...".
  std::vector<const char*> more = {};
  bool everywhere = false;  // also in kernels without netem
};

void PrintTo(const Root& root, std::ostream* out) { *out << root.kind; }

const std::vector<Root>& roots() {
  static const char* kAll =
      "filter add dev up0 parent 1a2b: protocol all u32 match u32 0 0 flowid 1a2b:1";
  static const std::vector<Root> kRoots = {
      {"noqueue", "", {}, true},
      {"pfifo", "limit 1000", {}, true},
      {"bfifo", "limit 1000000", {}, true},
      {"pfifo_fast", "", {}, true},
      {"mq", "", {}, true},
      {"tbf", "rate 900mbit burst 64kb limit 1mb", {}, true},
      {"htb",
       "default 1",
       {"class add dev up0 parent 1a2b: classid 1a2b:1 htb rate 900mbit"},
       true},
      {"pfifo_head_drop", "limit 1000"},
      {"fq"},
      {"fq_codel"},
      {"fq_pie"},
      {"codel"},
      {"pie"},
      {"cake", "bandwidth 900mbit"},
      {"sfq", "perturb 10"},
      {"sfb"},
      {"red", "limit 400000 min 30000 max 90000 avpkt 1000"},
      {"choke", "limit 1000 bandwidth 900mbit"},
      {"hhf"},
      {"prio"},
      {"multiq"},
      {"ets", "bands 3"},
      {"skbprio"},
      {"hfsc",
       "default 1",
       {"class add dev up0 parent 1a2b: classid 1a2b:1 hfsc ls rate 900mbit ul rate 900mbit"}},
      {"drr", "", {"class add dev up0 parent 1a2b: classid 1a2b:1 drr", kAll}},
      {"qfq", "", {"class add dev up0 parent 1a2b: classid 1a2b:1 qfq weight 1", kAll}},
      {"netem", "delay 2ms"},
  };
  return kRoots;
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error(command);
  char buffer[4096];
  for (std::size_t size; (size = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    text.append(buffer, size);
  }
  if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  return text;
}

// Qdiscs of the device without clsact, and the classes that somebody made; others are flows that
// come and go.
std::string root_of(const TwoNodes& nodes, const Root& root) {
  const std::string tc = "tc -n " + nodes.a.name();
  const std::string qdiscs = output_of(tc + " qdisc show dev up0 | grep -v clsact");
  return root.more.empty() ? qdiscs : qdiscs + output_of(tc + " class show dev up0");
}

bool put_root(TwoNodes& nodes, const Root& root) {
  const std::string tc = "tc -n " + nodes.a.name() + " ";
  const std::string handle = root.kind == std::string_view("noqueue") ? "" : "handle 1a2b: ";
  if (std::system(fmt::format("{}qdisc replace dev up0 root {}{} {} 2>/dev/null", tc, handle,
                              root.kind, root.options)
                      .c_str()) != 0) {
    return false;
  }
  for (const char* step : root.more) shell(tc + step);
  return true;
}

// mq wants a device with several queues.
void several_queues(TwoNodes& nodes) {
  nodes.a.ip("link del up0");
  shell(fmt::format(
      "ip -n {} link add up0 numtxqueues 4 numrxqueues 4 type veth peer name up0 netns {} "
      "numtxqueues 4 numrxqueues 4",
      nodes.a.name(), nodes.b.name()));
  for (const auto& [node, v4, v6] : {std::tuple(&nodes.a, TwoNodes::kA4, TwoNodes::kA6),
                                     std::tuple(&nodes.b, TwoNodes::kB4, TwoNodes::kB6)}) {
    node->ip("link set up0 up");
    add_address(*node, "up0", std::string(v4) + "/24");
    add_address(*node, "up0", std::string(v6) + "/64");
  }
}

class RootQdisc : public testing::TestWithParam<Root> {};

TEST_P(RootQdisc, StaysAsItIs) {
  bool present = false;
  std::string before;
  std::string root_before;
  const auto dump = [](TwoNodes& nodes) {
    return value_of(nodes.a.run([&] { return dump_network(nodes.config().uplinks); }));
  };
  Border border({FlowDirection::kEgress, false}, [&](TwoNodes& nodes) {
    several_queues(nodes);
    present = put_root(nodes, GetParam());
    before = dump(nodes);
    root_before = root_of(nodes, GetParam());
  });
  if (!present) {
    fmt::print("{} is not in this kernel\n", GetParam().kind);
    EXPECT_FALSE(has_netem() || GetParam().everywhere);
    return;
  }
  EXPECT_EQ(root_of(border.nodes(), GetParam()), root_before);
  const Nanos floor = quantile(border.stream({.count = 200}).latencies(), 0.5);
  Impairment impairment = delayed(10ms);
  impairment.rate_bps = 50'000'000;
  border.impair(impairment);
  const auto impaired = border.stream({.count = 200}).latencies();
  ASSERT_EQ(impaired.size(), 200U);
  EXPECT_NEAR(milliseconds(quantile(impaired, 0.5) - floor), 10, 1);
  EXPECT_EQ(root_of(border.nodes(), GetParam()), root_before);
  border.impair(delayed(20ms));
  EXPECT_EQ(border.stream({.count = 200}).latencies().size(), 200U);
  EXPECT_EQ(root_of(border.nodes(), GetParam()), root_before);
  border.heal();
  border.detach();
  EXPECT_EQ(root_of(border.nodes(), GetParam()), root_before);
  EXPECT_EQ(dump(border.nodes()), before);
}
INSTANTIATE_TEST_SUITE_P(Kind, RootQdisc, testing::ValuesIn(roots()),
                         [](const auto& test) { return std::string(test.param.kind); });

}  // namespace
}  // namespace zq::test
