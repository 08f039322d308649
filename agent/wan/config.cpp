#include "agent/wan/config.h"

#include <net/if.h>

#include <nlohmann/json.hpp>
#include <set>

namespace zq {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

json to_json(const Impairment& impairment) {
  return {{"delay_ns", impairment.delay.count()},
          {"jitter_ns", impairment.jitter.count()},
          {"delay_correlation", impairment.delay_correlation},
          {"distribution", static_cast<int>(impairment.distribution)},
          {"table", impairment.table},
          {"loss_kind", static_cast<int>(impairment.loss.kind)},
          {"loss_parameters", impairment.loss.parameters},
          {"duplicate", impairment.duplicate},
          {"corrupt", impairment.corrupt},
          {"reorder", impairment.reorder},
          {"rate_bps", impairment.rate_bps}};
}

// An enumerator by its number; nlohmann's own errors stand for what is no number at all.
template <class Enum>
Result<Enum> read_enum(const json& value, Enum last) {
  const int number = value.get<int>();
  if (number < 0 || number > static_cast<int>(last)) {
    return fail(ErrorCode::kInput, "{} is not between 0 and {}", number, static_cast<int>(last));
  }
  return static_cast<Enum>(number);
}

Result<Impairment> read_impairment(const json& value) {
  Impairment impairment;
  impairment.delay = Nanos(value.at("delay_ns").get<std::int64_t>());
  impairment.jitter = Nanos(value.at("jitter_ns").get<std::int64_t>());
  value.at("delay_correlation").get_to(impairment.delay_correlation);
  ZQ_TRY(impairment.distribution, read_enum(value.at("distribution"), Distribution::kCustom));
  value.at("table").get_to(impairment.table);
  ZQ_TRY(impairment.loss.kind, read_enum(value.at("loss_kind"), LossModel::Kind::kFourState));
  value.at("loss_parameters").get_to(impairment.loss.parameters);
  value.at("duplicate").get_to(impairment.duplicate);
  value.at("corrupt").get_to(impairment.corrupt);
  value.at("reorder").get_to(impairment.reorder);
  value.at("rate_bps").get_to(impairment.rate_bps);
  ZQ_CHECK(check(impairment));
  return impairment;
}

Result<WanZone> read_zone(const json& value) {
  WanZone zone;
  value.at("name").get_to(zone.name);
  value.at("device").get_to(zone.device);
  if (zone.device.empty() || zone.device.size() >= IFNAMSIZ) {
    return fail(ErrorCode::kInput, "'{}' is not the name of a device", zone.device);
  }
  for (const json& text : value.at("addresses")) {
    ZQ_TRY(const IpPrefix prefix, IpPrefix::parse(text.get<std::string>()));
    zone.addresses.push_back(prefix);
  }
  return zone;
}

Result<WanLink> read_link(const json& value) {
  WanLink link;
  value.at("a").get_to(link.a);
  value.at("b").get_to(link.b);
  ZQ_TRY(link.impairment, read_impairment(value.at("impairment")));
  for (const json& pair : value.at("pairs")) {
    link.pairs.push_back({pair.at(0).get<std::uint32_t>(), pair.at(1).get<std::uint32_t>()});
  }
  return link;
}

// Every pair joins two zones that are there, and no two zones are joined twice.
Status check_pairs(const WanConfig& config) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  for (const WanLink& link : config.links) {
    for (const WanLink::Pair& pair : link.pairs) {
      if (pair.a >= config.zones.size() || pair.b >= config.zones.size() || pair.a == pair.b) {
        return fail(ErrorCode::kInput, "({}, {}) is not a pair of zones", pair.a, pair.b);
      }
      if (!seen.insert(std::minmax(pair.a, pair.b)).second) {
        return fail(ErrorCode::kInput, "zones {} and {} are linked twice",
                    config.zones[pair.a].name, config.zones[pair.b].name);
      }
    }
  }
  return {};
}

Result<WanConfig> read_config(const json& value) {
  if (value.at("version") != kVersion) {
    return fail(ErrorCode::kInput, "it was written by another version of zonequake");
  }
  WanConfig config;
  for (const json& entry : value.at("zones")) {
    ZQ_TRY(WanZone zone, read_zone(entry));
    config.zones.push_back(std::move(zone));
  }
  for (const json& entry : value.at("links")) {
    ZQ_TRY(WanLink link, read_link(entry));
    config.links.push_back(std::move(link));
  }
  ZQ_CHECK(check_pairs(config));
  return config;
}

}  // namespace

std::string to_text(const WanConfig& config) {
  json zones = json::array();
  for (const WanZone& zone : config.zones) {
    json addresses = json::array();
    for (const IpPrefix& prefix : zone.addresses) addresses.push_back(prefix.to_string());
    zones.push_back({{"name", zone.name}, {"device", zone.device}, {"addresses", addresses}});
  }
  json links = json::array();
  for (const WanLink& link : config.links) {
    json pairs = json::array();
    for (const WanLink::Pair& pair : link.pairs) pairs.push_back({pair.a, pair.b});
    links.push_back(
        {{"a", link.a}, {"b", link.b}, {"impairment", to_json(link.impairment)}, {"pairs", pairs}});
  }
  return json{{"version", kVersion}, {"zones", zones}, {"links", links}}.dump(1) + "\n";
}

Result<WanConfig> parse_wan_config(std::string_view text) {
  try {
    auto config = read_config(json::parse(text));
    if (!config) return tl::unexpected(std::move(config).error().with_context("bad environment"));
    return config;
  } catch (const json::exception& error) {
    return fail(ErrorCode::kInput, "bad environment: {}", error.what());
  }
}

std::string describe_link(const std::string& a, const std::string& b,
                          const Impairment& impairment) {
  return fmt::format("{} <-> {}: {}", a, b, to_string(impairment));
}

}  // namespace zq
