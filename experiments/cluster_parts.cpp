#include "experiments/cluster_parts.h"

#include <algorithm>
#include <map>
#include <utility>

#include "experiments/hint.h"
#include "experiments/impairment_parse.h"
#include "experiments/names.h"

namespace zq {

namespace {

class LinkReader {
 public:
  LinkReader(TomlTable& testbed, const Cluster& cluster)
      : testbed_(testbed), report_(testbed.report()), cluster_(cluster) {}

  std::vector<TestbedLink> read() {
    std::vector<TestbedLink> links;
    for (TomlTable& table : testbed_.tables("link")) {
      TestbedLink link;
      link.position = table.position();
      const bool good = read_ends(table, link);
      const auto impairment = read_impairment(table, ImpairmentOf::kLink);
      table.finish();
      if (!impairment || !good) continue;
      link.impairment = impairment->impairments.front();
      links.push_back(std::move(link));
    }
    return links;
  }

 private:
  bool read_ends(TomlTable& table, TestbedLink& link) {
    const auto ends = table.strings("between");
    if (!table.has("between")) {
      table.add_missing("between", "two zones or two regions, like [\"a\", \"b\"]");
      return false;
    }
    if (ends.size() != 2 || ends[0].value == ends[1].value) {
      report_.add(table.value_position("between"),
                  "a link is between two different zones or regions, like between = [\"a\", "
                  "\"b\"]");
      return false;
    }
    std::vector<std::string> names = cluster_.regions;
    const auto regions = static_cast<std::ptrdiff_t>(names.size());
    for (const Zone& zone : cluster_.zones) names.push_back(zone.name);
    bool good = true;
    for (const TomlString& end : ends) {
      if (std::find(names.begin(), names.end(), end.value) != names.end()) continue;
      report_.add(end.position, "no zone or region has the name '{}'{}", end.value,
                  nearest_hint(end.value, names, "there are"));
      good = false;
    }
    if (!good) return false;
    // A name that a zone and a region share is the zone's.
    const auto is_zone = [&](const TomlString& end) {
      return std::find(names.begin() + regions, names.end(), end.value) != names.end();
    };
    const auto is_region = [&](const TomlString& end) {
      return std::find(names.begin(), names.begin() + regions, end.value) !=
             names.begin() + regions;
    };
    const bool zones = is_zone(ends[0]) && is_zone(ends[1]);
    if (!zones && !(is_region(ends[0]) && is_region(ends[1]))) {
      report_.add(table.value_position("between"),
                  "one of '{}' and '{}' is a zone, the other a region; a link is between two of "
                  "a kind",
                  ends[0].value, ends[1].value);
      return false;
    }
    const auto [first, added] = seen_.try_emplace(std::minmax(ends[0].value, ends[1].value),
                                                  table.value_position("between"));
    if (!added) {
      report_.add(table.value_position("between"),
                  "there is another link between '{}' and '{}' on line {}", ends[0].value,
                  ends[1].value, first->second.line);
      return false;
    }
    link.a = ends[0].value;
    link.b = ends[1].value;
    return true;
  }

  TomlTable& testbed_;
  TomlReport& report_;
  const Cluster& cluster_;
  std::map<std::pair<std::string, std::string>, Position> seen_;
};

// "env:NAME"
bool is_variable(std::string_view text) {
  constexpr std::string_view kEnvironment = "env:";
  if (!text.starts_with(kEnvironment)) return false;
  text.remove_prefix(kEnvironment.size());
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::all_of(text.begin(), text.end(), [](unsigned char letter) {
           return std::isalnum(letter) != 0 || letter == '_';
         });
}

std::vector<std::string> read_command(TomlTable& table, std::string_view key) {
  std::vector<std::string> command;
  for (const TomlString& word : table.strings(key)) {
    check_placeholders(word, key, {"name", "ip", "zone"}, table.report());
    command.push_back(word.value);
  }
  if (table.has(key) && (command.empty() || command.front().empty())) {
    table.report().add(table.value_position(key),
                       "'{}' names no program; expected one with its arguments, like "
                       "[\"/usr/local/sbin/power\", \"{{name}}\"]",
                       key);
  }
  return command;
}

}  // namespace

std::vector<TestbedLink> read_links(TomlTable& testbed, const Cluster& cluster) {
  return LinkReader(testbed, cluster).read();
}

std::vector<HookSpec> read_hooks(TomlTable& root) {
  std::vector<HookSpec> hooks;
  UniqueNames names("hook");
  for (TomlTable& table : root.tables("hook")) {
    HookSpec hook;
    hook.position = table.position();
    hook.name = read_name(table, "name", NameRule::kPlain, "hook", names);
    hook.run = read_command(table, "run");
    if (!table.has("run")) table.add_missing("run", "a program with its arguments");
    hook.undo = read_command(table, "undo");
    if (const auto timeout = table.duration("timeout")) {
      hook.timeout = *timeout;
      if (*timeout <= Nanos{0}) {
        table.report().add(table.value_position("timeout"), "'timeout' is {}; expected more",
                           format_duration(*timeout));
      }
    }
    table.finish();
    hooks.push_back(std::move(hook));
  }
  return hooks;
}

void read_process_names(TomlTable& table, SystemSpec& system) {
  TomlReport& report = table.report();
  if (const auto unit = table.string("unit")) {
    system.unit = unit->value;
    // systemd.unit(5): letters, digits and these, and a suffix for the type.
    const bool plain =
        std::all_of(unit->value.begin(), unit->value.end(), [](unsigned char letter) {
          return std::isalnum(letter) != 0 ||
                 std::string_view(":-_.\\@").find(static_cast<char>(letter)) !=
                     std::string_view::npos;
        });
    if (!plain || !unit->value.ends_with(".service") || unit->value.size() <= 8) {
      report.add(unit->position, "'{}' is no unit with processes; expected one like etcd.service",
                 unit->value);
    }
  }
  if (const auto cgroup = table.string("cgroup")) {
    system.cgroup = cgroup->value;
    const std::string path = "/" + cgroup->value + "/";
    if (path.find("//") != std::string::npos || path.find("/../") != std::string::npos ||
        path.find("/./") != std::string::npos) {
      report.add(cgroup->position,
                 "'{}' is no path below the cgroup-2 root; expected one like system.slice/etcd",
                 cgroup->value);
    }
  }
  if (table.has("unit") && table.has("cgroup")) {
    report.add(table.key_position("cgroup"),
               "'unit' and 'cgroup' in one [[system]]; expected at most one of them");
  }
}

void read_access(TomlTable& table, AccessSpec& access) {
  TomlReport& report = table.report();
  constexpr std::string_view kFile = "file:";
  if (const auto credentials = table.string("credentials")) {
    access.credentials = credentials->value;
    if (!credentials->value.starts_with("file:/") && !is_variable(credentials->value)) {
      report.add(credentials->position,
                 "'credentials' says where they are, like \"file:/etc/zonequake/mesos\" or "
                 "\"env:MESOS_CREDENTIALS\"; they are never written here");
    }
  }
  if (const auto auth = table.string("auth")) {
    static const std::vector<std::string> kKinds{"basic", "bearer", "dcos"};
    access.auth = auth->value;
    if (std::find(kKinds.begin(), kKinds.end(), auth->value) == kKinds.end()) {
      report.add(auth->position, "unknown 'auth' '{}'{}", auth->value,
                 nearest_hint(auth->value, kKinds, "expected one of"));
    } else if (!table.has("credentials")) {
      report.add(auth->position, "'auth' without 'credentials'");
    }
  }
  if (const auto ca = table.string("ca")) {
    if (ca->value.starts_with("file:/")) {
      access.ca = ca->value.substr(kFile.size());
    } else {
      report.add(ca->position, "'{}' is no file; expected one like file:/etc/zonequake/ca.pem",
                 ca->value);
    }
  }
  if (const auto verify = table.boolean("tls_verify")) access.tls_verify = *verify;
  if (!access.tls_verify && table.has("ca")) {
    report.add(table.key_position("tls_verify"),
               "'tls_verify = false' trusts any certificate, 'ca' only some; expected one of them");
  }
}

void check_placeholders(const TomlString& text, std::string_view key,
                        const std::vector<std::string>& known, TomlReport& report) {
  const std::string_view value = text.value;
  for (std::size_t open = value.find('{'); open != std::string_view::npos;
       open = value.find('{', open + 1)) {
    const std::size_t close = value.find('}', open);
    if (close == std::string_view::npos) {
      report.add_in(text, open, "a '{{' without its '}}' in '{}'", key);
      continue;
    }
    const std::string_view word = value.substr(open + 1, close - open - 1);
    if (std::find(known.begin(), known.end(), word) != known.end()) continue;
    report.add_in(text, open, "unknown placeholder '{{{}}}' in '{}'{}", word, key,
                  nearest_hint(word, known, "known placeholders"));
  }
}

}  // namespace zq
