// A recipe: which processes run on which nodes of a testbed, how one knows that they are ready, and
// what is done once they are. A TOML file; strings marked T are templates (template.h).
//
//   [needs]                       # files that must be there, and the package that brings them
//   "/usr/bin/etcd" = "etcd-server"
//   "mesos-master" = "Apache Mesos"      # by name: in --bin-dir or on PATH; and where it comes
//   from
//
//   [sysctl]                      # in every node's network namespace; one that the kernel does not
//   "net.ipv4.tcp_rto_max_ms" = 1000   # have is noted, not an error
//
//   [[process]]
//   name = "etcd"
//   on = "role:master"            # a selector, as in experiments
//   isolate = ["mount", "pid", "uts"]  # own namespaces; "uts" sets the host name to the node's
//   setup = ["mkdir -p {dir}/x"]  # T; shell commands before it, inside its namespaces
//   command = ["/usr/bin/etcd", "--name", "{node}"]   # T; the program by absolute path
//   env = { GOMAXPROCS = "2" }    # T; besides PATH and HOME = {dir}
//   files = { "{dir}/zoo.cfg" = "..." }   # T; written before every start
//   [process.ready]               # exactly one kind of probe, tried until it succeeds
//   http = "http://{ip}:2379/health"     # or "unix:{dir}/docker.sock:/_ping"; status 200
//   tcp = "{ip}:2379"
//   four_letter = "{ip}:2181/srvr"
//   file = "{dir}/started"
//   command = ["/bin/true"]              # exit code 0, in the node's network namespace
//   contains = "true"             # for http, four_letter and command: in the answer
//   timeout = "30s"
//
//   [[step]]                      # in file order, once every process is ready
//   name = "initialise the swarm"
//   on = "role:master"            # runs in these nodes' network namespaces, one after the other,
//   pick = "first"                # on the "first", on all but the first ("rest") or on "all"
//   parallel = true               # or at the same time
//   per = "app"                   # once for each [[app]] of the cluster file
//   command = [...]               # T
//   env = { }                     # T
//   capture = "token"             # its output, trimmed, becomes {var:token}
//   retry = "30s"                 # again until it succeeds, for this long (default: once)
//   timeout = "60s"               # of one attempt (the default)
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/testbed/template.h"
#include "experiments/selector.h"

namespace zq::testbed {

using TemplatePairs = std::vector<std::pair<TemplateText, TemplateText>>;

struct ReadyRecipe {
  std::string kind;                  // http, tcp, four_letter, file, command
  std::vector<TemplateText> target;  // one string; the argument vector for `command`
  std::optional<TemplateText> contains;
  Nanos timeout = std::chrono::seconds(60);
};

struct ProcessRecipe {
  std::string name;
  Selector on;
  bool own_mounts = false;
  bool own_pids = false;
  bool own_hostname = false;
  std::vector<TemplateText> setup;
  std::vector<TemplateText> command;
  TemplatePairs env;
  TemplatePairs files;
  std::optional<ReadyRecipe> ready;
  Position position;
};

struct StepRecipe {
  enum class Pick { kFirst, kRest, kAll };

  std::string name;
  Selector on;
  Pick pick = Pick::kAll;
  bool parallel = false;
  bool per_app = false;
  std::vector<TemplateText> command;
  TemplatePairs env;
  std::string capture;  // empty: nothing is captured
  Nanos retry{0};
  Nanos timeout = std::chrono::seconds(60);
  Position position;
};

struct Recipe {
  std::vector<std::pair<std::string, std::string>> needs;    // file or program, package
  std::vector<std::pair<std::string, std::string>> sysctls;  // dotted name, value
  std::vector<ProcessRecipe> processes;
  std::vector<StepRecipe> steps;
};

Result<Recipe> load_recipe(const std::string& path);
Result<Recipe> parse_recipe(const std::string& text, const std::string& path);

}  // namespace zq::testbed
