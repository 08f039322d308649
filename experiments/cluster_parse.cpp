// TOML -> Cluster, with everything that can be wrong about it.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "experiments/address_check.h"
#include "experiments/cluster.h"
#include "experiments/cluster_parts.h"
#include "experiments/hint.h"
#include "experiments/names.h"
#include "experiments/system_kind.h"
#include "experiments/toml_reader.h"

namespace zq {
namespace {

constexpr std::size_t kLongestUnixPath = 107;  // sockaddr_un holds 108 with the final zero
constexpr std::int64_t kMostReplicas = 100'000;

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// "host:port", "[v6]:port" or "unix:/path".
bool is_agent_endpoint(std::string_view text) {
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    return path.starts_with('/') && path.size() <= kLongestUnixPath;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !parse_port(text.substr(colon + 1))) return false;
  const std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto address = IpAddress::parse(host.substr(1, host.size() - 2));
    return address && !address->is_v4();
  }
  return !host.empty() && host.find_first_of(":/ []") == std::string_view::npos;
}

class ClusterReader {
 public:
  ClusterReader(Cluster& cluster, TomlReport& report) : cluster_(cluster), report_(report) {}

  void read(TomlTable root) {
    const auto name = root.required_string("name", "the name of the cluster");
    if (name) {
      check_name(*name, NameRule::kPlain, "cluster", report_);
      cluster_.name = name->value;
    }
    auto testbed = root.table("testbed");
    has_testbed_ = root.has("testbed");
    if (testbed) read_testbed(*testbed);
    read_regions(root);
    if (testbed) {
      auto links = read_links(*testbed, cluster_);
      if (cluster_.testbed) cluster_.testbed->links = std::move(links);
      testbed->finish();
    }
    // Without all nodes what refers to them would seem wrong, too.
    const bool nodes_known = report_.empty();
    read_systems(root, nodes_known);
    read_apps(root);
    read_exemptions(root);
    cluster_.hooks = read_hooks(root);
    root.finish();
  }

 private:
  void read_testbed(TomlTable& table) {
    const auto recipe = table.required_string("recipe", "the path of the testbed's recipe");
    if (!recipe) return;
    const std::filesystem::path folder = std::filesystem::path(cluster_.path).parent_path();
    const std::filesystem::path path = folder / recipe->value;
    std::error_code error;
    const std::filesystem::path whole = std::filesystem::absolute(path, error);
    cluster_.testbed = TestbedSpec{(error ? path : whole).lexically_normal(), {}, recipe->position};
  }

  void read_regions(TomlTable& root) {
    auto regions = root.tables("region");
    if (!root.has("region")) {
      report_.add(root.position(),
                  "the cluster has no [[region]]; expected at least one, with "
                  "[[region.zone]] and [[region.zone.node]] in it");
    }
    for (TomlTable& region : regions) {
      const std::string name = read_name(region, "name", NameRule::kPlain, "region", region_names_);
      cluster_.regions.push_back(name);
      auto zones = region.tables("zone");
      if (!region.has("zone")) {
        report_.add(region.position(), "region '{}' has no [[region.zone]]", name);
      }
      for (TomlTable& zone : zones) read_zone(zone, name);
      region.finish();
    }
    check_addresses_apart(std::move(addresses_), cluster_, report_);
  }

  void read_zone(TomlTable& table, const std::string& region) {
    Zone zone;
    zone.position = table.position();
    zone.region = region;
    zone.name = read_name(table, "name", NameRule::kPlain, "zone", zone_names_);
    auto nodes = table.tables("node");
    if (!table.has("node")) {
      report_.add(table.position(), "zone '{}' has no [[region.zone.node]]", zone.name);
    }
    for (TomlTable& node : nodes) read_node(node, zone);
    cluster_.zones.push_back(std::move(zone));
    table.finish();
  }

  void read_node(TomlTable& table, const Zone& zone) {
    Node node;
    node.position = table.position();
    node.zone = zone.name;
    node.region = zone.region;
    node.name = read_name(table, "name", NameRule::kHost, "node", node_names_);
    for (const TomlString& role : table.strings("roles")) {
      check_name(role, NameRule::kPlain, "role", report_);
      if (node.has_role(role.value)) {
        report_.add(role.position, "role '{}' is listed twice", role.value);
      }
      node.roles.push_back(role.value);
    }
    read_addresses(table, node);
    read_agent(table, node);
    node.labels = table.scalars("labels");
    table.finish();
    cluster_.nodes.push_back(std::move(node));
  }

  void read_addresses(TomlTable& table, Node& node) {
    const auto id = static_cast<NodeId>(cluster_.nodes.size());
    const auto texts = table.strings("addresses");
    for (const TomlString& text : texts) {
      const auto prefix = IpPrefix::parse(text.value);
      if (!prefix) {
        report_.add_inside(text, prefix.error());
        continue;
      }
      check_address_usable(*prefix, text.position, report_);
      node.addresses.push_back(*prefix);
      addresses_.push_back(PlacedAddress{*prefix, id, text.position});
    }
    if (!table.has("addresses")) {
      table.add_missing("addresses", "at least one, like [\"10.0.0.1\"]");
    } else if (node.addresses.size() == texts.size() && !node.host(true) && !node.host(false)) {
      report_.add(table.value_position("addresses"),
                  "node '{}' needs at least one host address, which path probes are sent to",
                  node.name);
    }
  }

  void read_agent(TomlTable& table, Node& node) {
    const auto agent = table.string("agent");
    if (!agent) {
      if (!table.has("agent") && !has_testbed_) {
        report_.add(table.position(),
                    "node '{}' has no 'agent', and the file has no [testbed] that would start one; "
                    "expected agent = \"HOST:PORT\", \"unix:/PATH\" or \"none\"",
                    node.name);
      }
      return;
    }
    node.agent = agent->value;
    if (!node.has_agent()) return;
    if (is_agent_endpoint(agent->value)) {
      agents_.add(*agent, report_);
    } else {
      report_.add(agent->position,
                  "'{}' is no address of an agent; expected HOST:PORT, [IPV6]:PORT, none or "
                  "unix:/PATH with at most {} characters in PATH",
                  agent->value, kLongestUnixPath);
    }
  }

  void read_systems(TomlTable& root, bool nodes_known) {
    for (TomlTable& table : root.tables("system")) {
      SystemSpec system;
      system.position = table.position();
      system.name = read_name(table, "name", NameRule::kPlain, "system", system_names_);
      const auto& kinds = system_kinds();
      const auto kind = table.required_string("kind", join_or(kinds));
      if (kind) {
        system.kind = kind->value;
        if (std::find(kinds.begin(), kinds.end(), kind->value) == kinds.end()) {
          report_.add(kind->position, "unknown kind of system '{}'{}", kind->value,
                      nearest_hint(kind->value, kinds, "known kinds"));
        }
      }
      read_system_nodes(table, system, nodes_known);
      read_endpoint(table, system);
      read_process_names(table, system);
      read_access(table, system.access);
      system.options = table.scalars("options");
      table.finish();
      cluster_.systems.push_back(std::move(system));
    }
  }

  void read_system_nodes(TomlTable& table, SystemSpec& system, bool nodes_known) {
    const auto nodes = table.required_string("nodes", "a selector, like \"role:master\"");
    if (!nodes) return;
    auto selector = Selector::parse(nodes->value, nodes->position);
    if (!selector) return report_.add_inside(*nodes, selector.error());
    if (!selector->referenced_systems().empty()) {
      return report_.add(nodes->position,
                         "the nodes of a system cannot depend on a system; use zones, regions, "
                         "roles and nodes");
    }
    system.nodes = std::move(*selector);
    if (!nodes_known) return;
    const auto resolved = system.nodes.resolve(cluster_, {}, nullptr);
    if (!resolved) return report_.add_inside(*nodes, resolved.error());
    if (resolved->empty()) {
      report_.add(nodes->position, "'{}' selects no node for system '{}'", nodes->value,
                  system.name);
    }
  }

  void read_endpoint(TomlTable& table, SystemSpec& system) {
    const auto endpoint =
        table.required_string("endpoint", "where a node's agent reaches it, like \"{ip}:2181\"");
    if (!endpoint) return;
    system.endpoint = endpoint->value;
    check_placeholders(*endpoint, "endpoint", {"name", "ip", "dir"}, report_);
    if (const std::size_t dir = endpoint->value.find("{dir}");
        dir != std::string::npos && !has_testbed_) {
      report_.add_in(*endpoint, dir,
                     "'{{dir}}' is a node's directory in the testbed, but the file has no "
                     "[testbed]");
    }
  }

  void read_apps(TomlTable& root) {
    for (TomlTable& table : root.tables("app")) {
      AppSpec app;
      app.position = table.position();
      app.name = read_name(table, "name", NameRule::kPlain, "app", app_names_);
      if (const auto system = table.required_string("system", "the name of a [[system]]")) {
        app.system = system->value;
        check_app_system(*system);
      }
      if (const auto replicas = table.integer("replicas", {1, kMostReplicas})) {
        app.replicas = static_cast<unsigned>(*replicas);
      }
      if (const auto ports = table.required_string("ports", "a range, like \"18080-18089\"")) {
        read_ports(*ports, app);
      }
      table.finish();
      cluster_.apps.push_back(std::move(app));
    }
  }

  void check_app_system(const TomlString& name) {
    const SystemSpec* system = cluster_.find_system(name.value);
    if (system == nullptr) {
      std::vector<std::string> known;
      for (const SystemSpec& spec : cluster_.systems) known.push_back(spec.name);
      report_.add(name.position, "no [[system]] has the name '{}'{}", name.value,
                  nearest_hint(name.value, known, "there are"));
      return;
    }
    const auto& kinds = system_kinds();
    if (std::find(kinds.begin(), kinds.end(), system->kind) != kinds.end() &&
        !runs_apps(system->kind)) {
      report_.add(name.position, "system '{}' is of kind {}, which runs no apps", name.value,
                  system->kind);
    }
  }

  void read_ports(const TomlString& text, AppSpec& app) {
    const std::string_view value = text.value;
    const std::size_t dash = value.find('-');
    const auto first = parse_port(value.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_port(value.substr(dash + 1));
    if (!first || !last) {
      return report_.add(text.position,
                         "'{}' is no range of ports; expected FIRST-LAST between 1 and 65535, like "
                         "18080-18089",
                         value);
    }
    if (*first > *last) {
      return report_.add(text.position, "the port range {} ends before it starts", value);
    }
    for (const AppSpec& other : cluster_.apps) {
      if (other.port_first != 0 && *first <= other.port_last && other.port_first <= *last) {
        report_.add(text.position, "the ports {} overlap those of app '{}' on line {}, {}-{}",
                    value, other.name, other.position.line, other.port_first, other.port_last);
      }
    }
    app.port_first = *first;
    app.port_last = *last;
  }

  void read_exemptions(TomlTable& root) {
    for (TomlTable& table : root.tables("exempt")) {
      Exemption exemption;
      exemption.position = table.position();
      const auto prefix = table.string("prefix");
      if (prefix) read_exempt_prefix(*prefix, exemption);
      if (const auto protocol = table.string("protocol")) {
        exemption.protocol = protocol->value;
        if (protocol->value != "tcp" && protocol->value != "udp") {
          report_.add(protocol->position, "unknown protocol '{}'; expected tcp or udp",
                      protocol->value);
        }
      }
      if (const auto port = table.integer("port", {1, 65535})) {
        exemption.port = static_cast<std::uint16_t>(*port);
      }
      if (const auto why = table.string("why")) exemption.why = why->value;
      const bool narrowed = table.has("protocol") || table.has("port");
      if (!prefix && !narrowed && !table.has("prefix")) {
        report_.add(table.position(),
                    "[[exempt]] would exempt everything; expected at least one "
                    "of prefix, protocol and port");
      }
      if (exemption.prefix && !narrowed) check_leaves_faults(*prefix, *exemption.prefix);
      table.finish();
      cluster_.exempt.push_back(std::move(exemption));
    }
  }

  void read_exempt_prefix(const TomlString& text, Exemption& exemption) {
    const auto prefix = IpPrefix::parse(text.value);
    if (!prefix) return report_.add_inside(text, prefix.error());
    exemption.prefix = *prefix;
  }

  void check_leaves_faults(const TomlString& text, const IpPrefix& prefix) {
    for (const Node& node : cluster_.nodes) {
      for (const IpPrefix& address : node.addresses) {
        if (!prefix.overlaps(address)) continue;
        return report_.add(text.position,
                           "exempting {} takes address {} of node '{}' out of every fault; narrow "
                           "it with protocol or port",
                           text.value, address.to_string(), node.name);
      }
    }
  }

  Cluster& cluster_;
  TomlReport& report_;
  bool has_testbed_ = false;
  std::vector<PlacedAddress> addresses_;
  UniqueNames region_names_{"region"};
  UniqueNames zone_names_{"zone"};
  UniqueNames node_names_{"node"};
  UniqueNames system_names_{"system"};
  UniqueNames app_names_{"app"};
  UniqueNames agents_{"node with the agent"};
};

}  // namespace

Result<Cluster> parse_cluster(std::string text, const std::string& path) {
  Cluster cluster;
  cluster.path = path;
  cluster.text = std::move(text);
  ZQ_TRY(const TomlValue document, parse_toml(cluster.text, path));
  TomlReport report(cluster.text);
  ClusterReader(cluster, report).read(TomlTable(document, "the cluster file", report));
  ZQ_CHECK(report.status());
  return cluster;
}

}  // namespace zq
