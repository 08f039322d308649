#include "controller/testbed/recipe.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "experiments/hint.h"

namespace zq::testbed {
namespace {

// Reads one recipe; everything that is wrong goes to the report.
class Reader {
 public:
  explicit Reader(TomlReport& report) : report_(report) {}

  Recipe read(TomlTable& root) {
    Recipe recipe;
    recipe.needs = pairs(root, "needs", "");
    for (const auto& [file, package] : recipe.needs) {
      if (file.starts_with('/') || file.find('/') == std::string::npos) continue;
      report_.add(root.value_position("needs"),
                  "[needs]: '{}' must start with '/', or be a program's name", file);
    }
    // Only these are per network namespace: anything else would change the whole machine.
    recipe.sysctls = pairs(root, "sysctl", "net.");
    for (const auto& [name, value] : recipe.sysctls) {
      if (name.find('/') == std::string::npos) continue;
      report_.add(root.value_position("sysctl"), "'{}': write sysctls with dots", name);
    }
    for (TomlTable& table : root.tables("process")) recipe.processes.push_back(process(table));
    for (TomlTable& table : root.tables("step")) recipe.steps.push_back(step(table));
    root.finish();
    return recipe;
  }

 private:
  ProcessRecipe process(TomlTable& table) {
    ProcessRecipe process;
    process.position = table.position();
    process.name = name(table, process_names_);
    if (!process.name.empty()) {
      const Status good = check_name("process", process.name, Position{});
      if (!good) report_.add(table.value_position("name"), "{}", good.error().message);
    }
    process.on = on(table);
    isolation(table, process);
    process.setup = table.strings("setup");
    process.command = command(table, true);
    process.env = templates(table, "env");
    process.files = templates(table, "files");
    if (auto nested = table.table("ready")) process.ready = ready(*nested);
    table.finish();
    return process;
  }

  StepRecipe step(TomlTable& table) {
    StepRecipe step;
    step.position = table.position();
    step.name = name(table, step_names_);
    step.on = on(table);
    static const std::vector<std::string> kPicks{"first", "rest", "all"};
    const std::string pick = word(table, "pick", kPicks).value_or("all");
    step.pick = pick == "first"  ? StepRecipe::Pick::kFirst
                : pick == "rest" ? StepRecipe::Pick::kRest
                                 : StepRecipe::Pick::kAll;
    step.parallel = table.boolean("parallel").value_or(false);
    static const std::vector<std::string> kPer{"app"};
    step.per_app = word(table, "per", kPer).has_value();
    step.command = command(table, true);
    step.env = templates(table, "env");
    if (const auto capture = table.string("capture")) {
      step.capture = capture->value;
      if (step.pick != StepRecipe::Pick::kFirst || step.per_app) {
        report_.add(capture->position, "'capture' needs pick = \"first\" and no 'per'");
      }
    }
    step.retry = table.duration("retry").value_or(step.retry);
    step.timeout = table.duration("timeout").value_or(step.timeout);
    table.finish();
    return step;
  }

  std::string name(TomlTable& table, std::set<std::string>& taken) {
    const auto name = table.required_string("name", "a name, like \"etcd\"");
    if (!name) return {};
    if (!taken.insert(name->value).second) {
      report_.add(name->position, "the name '{}' is taken; choose another", name->value);
    }
    return name->value;
  }

  Selector on(TomlTable& table) {
    const auto text = table.required_string("on", "a selector, like \"role:master\"");
    if (!text) return {};
    auto selector = Selector::parse(text->value, text->position);
    if (!selector) {
      report_.add_inside(*text, selector.error());
      return {};
    }
    if (selector->is_dynamic()) {
      report_.add(text->position, "'on' cannot depend on the live cluster: it is what is started");
    }
    return std::move(*selector);
  }

  // A program is never looked up in PATH: another one of that name may stand ahead.
  std::vector<TemplateText> command(TomlTable& table, bool required) {
    auto command = table.strings("command");
    if (command.empty()) {
      if (required) {
        report_.add(table.position(), "{} has no 'command'; expected an array of strings",
                    table.title());
      }
    } else if (!command.front().value.starts_with('/') && !command.front().value.starts_with('{')) {
      report_.add(command.front().position, "the program '{}' must be an absolute path",
                  command.front().value);
    }
    return command;
  }

  ReadyRecipe ready(TomlTable& table) {
    static constexpr std::array kKinds{"http", "tcp", "four_letter", "file"};
    ReadyRecipe ready;
    std::vector<std::string> given;
    for (const char* kind : kKinds) {
      if (auto target = table.string(kind)) {
        given.emplace_back(kind);
        ready.target = {std::move(*target)};
      }
    }
    if (auto argv = command(table, false); !argv.empty()) {
      given.emplace_back("command");
      ready.target = std::move(argv);
    }
    if (given.size() == 1) {
      ready.kind = given.front();
    } else {
      report_.add(table.position(), "{} needs exactly one of http, tcp, four_letter, file, command",
                  table.title());
    }
    ready.contains = table.string("contains");
    if (ready.contains && (ready.kind == "tcp" || ready.kind == "file")) {
      report_.add(ready.contains->position, "'contains' means nothing for '{}'", ready.kind);
    }
    ready.timeout = table.duration("timeout").value_or(ready.timeout);
    table.finish();
    return ready;
  }

  void isolation(TomlTable& table, ProcessRecipe& process) {
    static const std::vector<std::string> kKnown{"mount", "pid", "uts"};
    for (const TomlString& word : table.strings("isolate")) {
      process.own_mounts |= word.value == "mount";
      process.own_pids |= word.value == "pid";
      process.own_hostname |= word.value == "uts";
      if (std::ranges::find(kKnown, word.value) == kKnown.end()) {
        report_.add(word.position, "cannot isolate '{}'{}", word.value,
                    nearest_hint(word.value, kKnown, "known"));
      }
    }
    // A PID namespace needs a /proc of its own, and that must not be seen outside.
    process.own_mounts |= process.own_pids;
  }

  std::optional<std::string> word(TomlTable& table, std::string_view key,
                                  std::span<const std::string> known) {
    const auto text = table.string(key);
    if (!text) return std::nullopt;
    if (std::ranges::find(known, text->value) != known.end()) return text->value;
    report_.add(text->position, "'{}' must be {}, not '{}'", key, join_or(known), text->value);
    return std::nullopt;
  }

  static TemplatePairs templates(TomlTable& table, std::string_view key) {
    TemplatePairs out;
    for (const auto& [name, value] : table.scalars(key)) {
      const Position& position = table.value_position(key);
      out.emplace_back(TemplateText{name, position}, TemplateText{value, position});
    }
    return out;
  }

  std::vector<std::pair<std::string, std::string>> pairs(TomlTable& table, std::string_view key,
                                                         std::string_view prefix) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [name, value] : table.scalars(key)) {
      if (!name.starts_with(prefix)) {
        report_.add(table.value_position(key), "[{}]: '{}' must start with '{}'", key, name,
                    prefix);
      }
      out.emplace_back(name, value);
    }
    return out;
  }

  TomlReport& report_;
  std::set<std::string> process_names_{"agent"};  // every node has one, with files of that name
  std::set<std::string> step_names_;
};

}  // namespace

Result<Recipe> parse_recipe(const std::string& text, const std::string& path) {
  ZQ_TRY(const TomlValue document, parse_toml(text, path));
  TomlReport report(text);
  TomlTable root(document, "the recipe", report);
  Recipe recipe = Reader(report).read(root);
  ZQ_CHECK(report.status());
  return recipe;
}

Result<Recipe> load_recipe(const std::string& path) {
  ZQ_TRY(const std::string text, read_text_file(path));
  return parse_recipe(text, path);
}

}  // namespace zq::testbed
