#include "controller/cli/catalogue_command.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "controller/cli/catalogue.h"
#include "controller/cli/inputs.h"
#include "controller/cli/offline_plan.h"
#include "controller/cli/page_verdicts.h"
#include "results/table.h"

namespace zq {
namespace {

struct CatalogueArguments {
  std::string cluster, topology, db = default_db();
  std::vector<std::string> timers;
  bool page = false, markdown = false, json = false;
};

nlohmann::json as_json(const CatalogueEntry& entry, bool with_cluster) {
  const Experiment& experiment = entry.experiment;
  nlohmann::json document{{"name", entry.name},
                          {"path", experiment.path},
                          {"title", experiment.title},
                          {"topology", entry.topology},
                          {"caveat", experiment.caveat},
                          {"page", experiment.page},
                          {"needs", experiment.needs.systems},
                          {"seconds", to_seconds(entry.lasts)},
                          {"assumed_timers", entry.assumed_timers},
                          {"does", describe_deeds(experiment)},
                          {"quorum_loss", experiment.limits.quorum_loss}};
  if (experiment.limits.max_zones_cut) {
    document["max_zones_cut"] = *experiment.limits.max_zones_cut;
  }
  if (!with_cluster) return document;
  document["runs"] = entry.blast.has_value();
  document["why_not"] = entry.why_not;
  if (entry.blast) {
    document["zones_cut"] = entry.blast->zones_cut;
    document["nodes_impaired"] = entry.blast->nodes_impaired.size();
    document["quorum_at_risk"] = entry.blast->quorum_at_risk;
  }
  return document;
}

std::string here(const CatalogueEntry& entry) {
  if (!entry.blast) return "no: " + entry.why_not.front();
  const BlastRadius& blast = *entry.blast;
  std::string text = fmt::format("yes, on {} nodes", blast.nodes_impaired.size());
  if (!blast.zones_cut.empty()) text += fmt::format(", cuts {}", fmt::join(blast.zones_cut, " "));
  if (!blast.quorum_at_risk.empty()) {
    text += fmt::format(", quorum of {} lost", fmt::join(blast.quorum_at_risk, " "));
  }
  return text;
}

void print_entries(const std::vector<CatalogueEntry>& entries, const Cluster* cluster) {
  std::vector<Table::Column> columns{
      {.title = "caveat"},
      {.title = "experiment"},
      {.title = "what happens"},
      {.title = "takes", .align = Table::Align::kRight},
      {.title = cluster == nullptr ? "does" : fmt::format("runs on {}", cluster->name)}};
  Table table(std::move(columns));
  std::vector<std::string> assumed;
  for (const CatalogueEntry& entry : entries) {
    const Style style = cluster != nullptr && !entry.blast ? Style::kFaint : Style::kPlain;
    table.add({{entry.experiment.caveat, style},
               {entry.name, style},
               {entry.experiment.title, style},
               {format_duration(entry.lasts), style},
               {cluster == nullptr ? describe_deeds(entry.experiment) : here(entry), style}});
    for (const std::string& name : entry.assumed_timers) {
      if (std::find(assumed.begin(), assumed.end(), name) == assumed.end()) assumed.push_back(name);
    }
  }
  fmt::print("{}", table.render(terminal_width(), wants_color(STDOUT_FILENO)));
  if (assumed.empty()) return;
  std::sort(assumed.begin(), assumed.end());
  fmt::print(
      "\nTimers are those of the cluster under test. Here they are assumed to be {}s (or say "
      "--timer "
      "NAME=DURATION): {}\n",
      kAssumedTimer, fmt::join(assumed, ", "));
}

Status print_page(const CatalogueArguments& arguments) {
  ZQ_TRY(const PageTable page,
         load_page((std::filesystem::path(data_dir()) / "page.toml").string()));
  std::optional<Store> store;
  std::error_code error;
  if (std::filesystem::exists(arguments.db, error)) {
    ZQ_TRY(Store opened, open_existing_store(arguments.db));
    store.emplace(std::move(opened));
  }
  ZQ_TRY(const std::vector<PageRow> rows, page_verdicts(page, store ? &*store : nullptr));
  if (arguments.json) {
    fmt::print("{}", page_json(rows));
  } else if (arguments.markdown) {
    fmt::print("{}", page_markdown(rows));
  } else {
    fmt::print("{}", page_text(rows, wants_color(STDOUT_FILENO)));
  }
  return {};
}

Status print_catalogue(const CatalogueArguments& arguments) {
  if (arguments.page) return print_page(arguments);
  if (arguments.markdown) return fail(ErrorCode::kInput, "--markdown is for --page");
  std::map<std::string, double> given;
  ZQ_TRY(const auto timers, parse_pairs(arguments.timers, "--timer"));
  for (const auto& [name, text] : timers) {
    ZQ_TRY(const Nanos duration, parse_duration(text));
    given[name] = to_seconds(duration);
  }
  std::optional<Cluster> cluster;
  if (!arguments.cluster.empty()) {
    ZQ_TRY(Cluster loaded, load_cluster(arguments.cluster));
    cluster.emplace(std::move(loaded));
  }
  const Cluster* const on = cluster ? &*cluster : nullptr;
  ZQ_TRY(std::vector<CatalogueEntry> entries, read_catalogue(given, on));
  if (!arguments.topology.empty()) {
    std::erase_if(
        entries, [&](const CatalogueEntry& entry) { return entry.topology != arguments.topology; });
  }
  if (!arguments.json) {
    print_entries(entries, on);
    return {};
  }
  auto document = nlohmann::json::array();
  for (const CatalogueEntry& entry : entries) document.push_back(as_json(entry, on != nullptr));
  fmt::print("{}\n", document.dump(2));
  return {};
}

}  // namespace

void add_catalogue_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<CatalogueArguments>();
  CLI::App* catalogue = app.add_subcommand(
      "catalogue", "The experiments that come with it, by topology and caveat, with their cost");
  catalogue->footer(
      "Asks nobody and touches nothing. With --cluster: which of them run there, what they would "
      "cut,\n"
      "and why the others do not. With --page: every sentence of the multi-datacenter page that "
      "predicts\n"
      "or recommends something, what tries it, and the verdicts in the store: those of the newest "
      "run of\n"
      "each experiment on each cluster and version, with how many of its runs ended so.\n"
      "Exit code: 0, 64 bad input, 70 internal error.");
  catalogue->add_option("--cluster,-c", arguments->cluster, "Cluster file to try them on");
  catalogue->add_option("--topology", arguments->topology, "Only those of this topology")
      ->check(CLI::IsMember({"T1", "T2", "T3", "T4", "control"}));
  catalogue
      ->add_option("--timer", arguments->timers,
                   "NAME=DURATION for a timer of the live cluster, like unreachable_max=30s")
      ->allow_extra_args(false);
  catalogue->add_flag("--page", arguments->page, "The page's statements and their verdicts");
  catalogue->add_option("--db", arguments->db, std::string("With --page: ") + kDbHelp)
      ->capture_default_str();
  catalogue->add_flag("--markdown", arguments->markdown, "With --page: as a Markdown table");
  catalogue->add_flag("--json", arguments->json, "As a JSON array");
  catalogue->callback([arguments, &exit_code] {
    const Status status = print_catalogue(*arguments);
    exit_code = status ? 0 : report_error(status.error());
  });
}

}  // namespace zq
