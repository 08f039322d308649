#include "controller/testbed/template.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "controller/testbed/programs.h"
#include "experiments/hint.h"

namespace zq::testbed {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

class Expander {
 public:
  Expander(const Position& position, const TemplateContext& context)
      : position_(position), context_(context), layout_{context.cluster->name} {}

  Result<std::string> expand(std::string_view text) const {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const char c = text[at];
      if (c != '{' && c != '}') {
        out += c;
        ++at;
      } else if (at + 1 < text.size() && text[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '}') {
        return error("a '}}' without its '{{'; a literal brace is written twice");
      } else {
        const auto end = closing_brace(text, at);
        if (end == std::string_view::npos) {
          return error("a '{{' without its '}}'; a literal brace is written twice");
        }
        ZQ_TRY(const std::string value, evaluate(text.substr(at + 1, end - at - 1)));
        out += value;
        at = end + 1;
      }
    }
    return out;
  }

 private:
  template <class... Args>
  [[nodiscard]] tl::unexpected<Error> error(fmt::format_string<Args...> format,
                                            Args&&... args) const {
    return fail(ErrorCode::kInput, "{}: {}", position_.to_string(),
                fmt::format(format, std::forward<Args>(args)...));
  }

  static std::size_t closing_brace(std::string_view text, std::size_t open) {
    int depth = 0;
    for (std::size_t at = open; at < text.size(); ++at) {
      if (text[at] == '{') ++depth;
      if (text[at] == '}' && --depth == 0) return at;
    }
    return std::string_view::npos;
  }

  Result<std::string> evaluate(std::string_view inside) const {
    if (const auto rest = after_word(inside, "each")) return each(*rest);
    if (const auto rest = after_word(inside, "first")) return first(*rest);
    if (const auto rest = after_word(inside, "count")) {
      ZQ_TRY(const auto nodes, select(*rest));
      return std::to_string(nodes.size());
    }
    if (const auto rest = after_word(inside, "majority")) {
      ZQ_TRY(const auto nodes, select(*rest));
      return std::to_string(nodes.size() / 2 + 1);
    }
    if (inside.starts_with("label:")) return label(std::string(inside.substr(6)));
    if (inside.starts_with("bin:")) return program(std::string(inside.substr(4)));
    if (inside.starts_with("var:")) return variable(std::string(inside.substr(4)));
    return plain(std::string(inside));
  }

  static std::optional<std::string_view> after_word(std::string_view text, std::string_view word) {
    if (!text.starts_with(word) || text.size() <= word.size() || text[word.size()] != ' ') {
      return std::nullopt;
    }
    return trim(text.substr(word.size() + 1));
  }

  Result<std::vector<const Node*>> select(std::string_view text) const {
    ZQ_TRY(const Selector selector, Selector::parse(trim(text), position_));
    ZQ_TRY(const NodeSet ids, selector.resolve(*context_.cluster, {}, nullptr));
    std::vector<const Node*> nodes;
    for (const NodeId id : ids) nodes.push_back(&context_.cluster->nodes[id]);
    return nodes;
  }

  Result<std::string> each(std::string_view text) const {
    const auto one = text.find(';');
    const auto two = one == std::string_view::npos ? one : text.find(';', one + 1);
    if (two == std::string_view::npos) {
      return error("{{each ...}} has the form {{each SELECTOR; SEPARATOR; BODY}}");
    }
    ZQ_TRY(const auto nodes, select(text.substr(0, one)));
    const std::string_view raw = text.substr(one + 1, two - one - 1);
    const std::string_view separator = trim(raw).empty() ? raw : trim(raw);
    std::string out;
    for (const Node* node : nodes) {
      ZQ_TRY(const std::string body, body_for(*node, text.substr(two + 1)));
      if (node != nodes.front()) out += separator;
      out += body;
    }
    return out;
  }

  Result<std::string> first(std::string_view text) const {
    const auto one = text.find(';');
    if (one == std::string_view::npos) {
      return error("{{first ...}} has the form {{first SELECTOR; BODY}}");
    }
    ZQ_TRY(const auto nodes, select(text.substr(0, one)));
    if (nodes.empty()) return error("{{first {}}} selects no node", text);
    return body_for(*nodes.front(), text.substr(one + 1));
  }

  Result<std::string> body_for(const Node& node, std::string_view body) const {
    return Expander(position_, context_.for_node(node)).expand(trim(body));
  }

  Result<std::string> label(const std::string& text) const {
    const auto bar = text.find('|');
    const std::string key = text.substr(0, bar);
    if (context_.node == nullptr) return error("{{label:{}}} outside of a node", key);
    const auto found = context_.node->labels.find(key);
    if (found != context_.node->labels.end()) return found->second;
    if (bar != std::string::npos) return text.substr(bar + 1);
    return error("node {} has no label '{}'", context_.node->name, key);
  }

  Result<std::string> program(const std::string& name) const {
    if (auto found = find_program(name, context_.bin_dir)) return std::move(*found);
    return error("the program '{}' is {}", name, where_it_is_not(context_.bin_dir));
  }

  Result<std::string> variable(const std::string& name) const {
    if (context_.vars != nullptr) {
      const auto found = context_.vars->find(name);
      if (found != context_.vars->end()) return found->second;
    }
    std::vector<std::string> known;
    if (context_.vars != nullptr) {
      for (const auto& [key, value] : *context_.vars) known.push_back(key);
    }
    return error("no earlier step captures '{}'{}", name, nearest_hint(name, known, "captured"));
  }

  Result<std::string> plain(const std::string& name) const {
    if (name == "cluster") return context_.cluster->name;
    if (name == "cluster_data") return layout_.data_dir() + "/.shared";
    if (name == "agent_binary") return context_.agent_binary;
    if (name == "agent_dir") return directory_of(context_.agent_binary);

    static constexpr std::array kOfApp{"app", "replicas", "port_first", "port_last"};
    static constexpr std::array kOfNode{"node",  "zone", "region", "ip",    "ip6",
                                        "index", "dir",  "data",   "netns", "cgroup"};
    if (std::find(kOfApp.begin(), kOfApp.end(), name) != kOfApp.end()) {
      if (context_.app == nullptr)
        return error("{{{}}} outside of a step with per = \"app\"", name);
      return of_app(name, *context_.app);
    }
    if (std::find(kOfNode.begin(), kOfNode.end(), name) != kOfNode.end()) {
      if (context_.node == nullptr) return error("{{{}}} outside of a node", name);
      return of_node(name, *context_.node);
    }
    std::vector<std::string> known{"cluster", "cluster_data", "agent_binary", "agent_dir"};
    known.insert(known.end(), kOfNode.begin(), kOfNode.end());
    known.insert(known.end(), kOfApp.begin(), kOfApp.end());
    return error("unknown variable {{{}}}{}", name, nearest_hint(name, known, "known"));
  }

  static std::string of_app(const std::string& name, const AppSpec& app) {
    if (name == "app") return app.name;
    if (name == "replicas") return std::to_string(app.replicas);
    return std::to_string(name == "port_first" ? app.port_first : app.port_last);
  }

  Result<std::string> of_node(const std::string& name, const Node& node) const {
    if (name == "node") return node.name;
    if (name == "zone") return node.zone;
    if (name == "region") return node.region;
    if (name == "dir") return layout_.node_dir(node.name);
    if (name == "data") return layout_.node_data_dir(node.name);
    if (name == "netns") return layout_.node_netns(node.name);
    if (name == "cgroup") return "/" + layout_.node_cgroup(node.name);
    if (name == "index") return std::to_string(index_of(node));
    const bool v4 = name == "ip";
    const auto address = node.host(v4);
    if (!address) {
      return error("{{{}}}: node {} has no {} address", name, node.name, v4 ? "IPv4" : "IPv6");
    }
    return address->to_string();
  }

  [[nodiscard]] std::size_t index_of(const Node& node) const {
    std::size_t index = 1;
    for (const Node& other : context_.cluster->nodes) {
      if (other.name == node.name) break;
      ++index;
    }
    return index;
  }

  const Position& position_;
  const TemplateContext context_;
  const Layout layout_;
};

}  // namespace

Result<std::string> expand(const TemplateText& text, const TemplateContext& context) {
  return Expander(text.position, context).expand(text.value);
}

}  // namespace zq::testbed
