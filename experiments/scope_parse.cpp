#include "experiments/scope_parse.h"

#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include "experiments/hint.h"

namespace zq {

namespace {

constexpr std::uint8_t kIcmp6 = 58;

class ScopeReader {
 public:
  ScopeReader(TomlTable& table, std::size_t sides)
      : table_(table), report_(table.report()), sides_(sides) {}

  Scope read() {
    read_protocol();
    if (const auto ports = table_.string("ports")) scope_.ports = read_ports(*ports);
    read_side_ports();
    const std::size_t ranges =
        scope_.ports.size() + scope_.source_ports.size() + scope_.destination_ports.size();
    if (ranges > kMaxPortRanges) {
      report_.add(ports_position(), "the fault names {} ranges of ports; expected at most {}",
                  ranges, kMaxPortRanges);
    }
    if (ranges > 0 && scope_.protocol != 0 && !has_ports(scope_.protocol)) {
      report_.add(
          ports_position(),
          "ports belong to tcp, udp and their like, but the fault is about another protocol");
    }
    return scope_;
  }

 private:
  [[nodiscard]] const Position& ports_position() const {
    return table_.value_position(table_.has("ports") ? "ports" : "side_ports");
  }

  void read_protocol() {
    const TomlValue* value = table_.raw("protocol");
    if (value == nullptr) return;
    if (const auto* number = std::get_if<std::int64_t>(&value->data)) {
      if (*number < 1 || *number > 255) {
        return report_.add(value->position, "'protocol' is {}; expected 1 to 255", *number);
      }
      if (*number == kIcmp6) {
        return report_.add(value->position,
                           "'protocol' is 58; say \"icmp\", which is ICMP of both families");
      }
      scope_.protocol = static_cast<std::uint8_t>(*number);
      return;
    }
    const auto name = table_.string("protocol");
    if (!name) return;
    if (name->value == "tcp") {
      scope_.protocol = IPPROTO_TCP;
    } else if (name->value == "udp") {
      scope_.protocol = IPPROTO_UDP;
    } else if (name->value == "icmp") {
      scope_.protocol = IPPROTO_ICMP;
    } else {
      static const std::vector<std::string> kNames{"tcp", "udp", "icmp"};
      report_.add(name->position, "unknown protocol '{}', which is no number either{}", name->value,
                  nearest_hint(name->value, kNames, "known protocols"));
    }
  }

  void read_side_ports() {
    const auto sides = table_.strings("side_ports");
    if (!table_.has("side_ports")) return;
    if (sides_ > 2) {
      return report_.add(table_.key_position("side_ports"),
                         "'side_ports' needs two sides, but the fault is between {}; use 'ports', "
                         "or one fault for each two of them",
                         sides_);
    }
    if (sides.size() != 2) {
      return report_.add(table_.value_position("side_ports"),
                         "'side_ports' is a list of {}; expected one for each side, like "
                         "[\"5050\", \"\"]",
                         sides.size());
    }
    if (!sides[0].value.empty()) scope_.source_ports = read_ports(sides[0]);
    if (!sides[1].value.empty()) scope_.destination_ports = read_ports(sides[1]);
  }

  // Sorted, without overlaps, so that equal sets are equal lists.
  std::vector<PortRange> read_ports(const TomlString& text) {
    std::vector<PortRange> ranges;
    std::string_view rest = text.value;
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      more = comma != std::string_view::npos;
      const auto range = parse_range(rest.substr(0, comma));
      if (!range) {
        report_.add_in(text, static_cast<std::size_t>(rest.data() - text.value.data()),
                       "'{}' is no range of ports; expected PORT or FIRST-LAST between 1 and 65535",
                       rest.substr(0, comma));
        return {};
      }
      ranges.push_back(*range);
      if (more) rest.remove_prefix(comma + 1);
    }
    std::sort(ranges.begin(), ranges.end());
    std::vector<PortRange> merged;
    for (const PortRange& range : ranges) {
      if (!merged.empty() && range.first <= merged.back().last + 1) {
        merged.back().last = std::max(merged.back().last, range.last);
      } else {
        merged.push_back(range);
      }
    }
    return merged;
  }

  static std::optional<std::uint16_t> parse_port(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
  }

  static std::optional<PortRange> parse_range(std::string_view text) {
    const std::size_t dash = text.find('-');
    const auto first = parse_port(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_port(text.substr(dash + 1));
    if (!first || !last || *first > *last) return std::nullopt;
    return PortRange{*first, *last};
  }

  TomlTable& table_;
  TomlReport& report_;
  std::size_t sides_;
  Scope scope_;
};

}  // namespace

const std::vector<std::string>& scope_keys() {
  static const std::vector<std::string> kKeys{"protocol", "ports", "side_ports"};
  return kKeys;
}

Scope read_scope(TomlTable& table, std::size_t sides) { return ScopeReader(table, sides).read(); }

}  // namespace zq
