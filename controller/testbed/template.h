// The templates of recipes.
//
//   {node} {zone} {region} {ip} {ip6}     of the node at hand
//   {index}                               its place in the cluster file, from 1
//   {label:KEY} {label:KEY|ELSE}          a label of the node; ELSE where it has none
//   {dir} {data}                          the node's directories: volatile and large
//   {netns} {cgroup}                      name under /run/netns; path for cgroups of its own making
//   {cluster} {cluster_data}              the cluster's name; a large directory of all nodes
//   {agent_binary} {agent_dir}            zonequake-agent, and the directory that holds it
//   {bin:NAME}                            a program's absolute path: in --bin-dir, or else on PATH
//   {app} {replicas} {port_first} {port_last}   of the app at hand, in steps with per = "app"
//   {var:NAME}                            what an earlier step captured
//   {count SELECTOR}                      number of nodes
//   {majority SELECTOR}                   the smallest majority of them
//   {first SELECTOR; BODY}                BODY for the first node selected
//   {each SELECTOR; SEPARATOR; BODY}      BODY for every node selected, joined
//   {{ and }}                             literal braces
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agent/base/error.h"
#include "controller/testbed/layout.h"
#include "experiments/cluster.h"
#include "experiments/toml_reader.h"

namespace zq::testbed {

struct TemplateContext {
  const Cluster* cluster = nullptr;
  std::string agent_binary;
  std::string bin_dir;                                       // of {bin:NAME}; empty: PATH alone
  const Node* node = nullptr;                                // none: node variables are errors
  const AppSpec* app = nullptr;                              // likewise
  const std::map<std::string, std::string>* vars = nullptr;  // likewise

  [[nodiscard]] TemplateContext for_node(const Node& other) const {
    TemplateContext copy = *this;
    copy.node = &other;
    return copy;
  }
};

using TemplateText = TomlString;

// kInput with the string's position: unknown variables, unbalanced braces, bad selectors.
Result<std::string> expand(const TemplateText& text, const TemplateContext& context);

}  // namespace zq::testbed
