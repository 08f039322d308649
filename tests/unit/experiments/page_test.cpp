// The page's table is the page, and what it names is there and quotes it.
#include "experiments/page.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "experiments/experiment.h"

namespace zq {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kExperiments = fs::path(ZQ_SOURCE_DIR) / "experiments";

std::string text_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

PageTable shipped_page() {
  auto page = load_page(kExperiments / "page.toml");
  if (!page) ADD_FAILURE() << page.error().message;
  return page.value_or(PageTable{});
}

std::string markdown() { return text_of(kExperiments / "page/multi-datacenter.md"); }

// What each experiment of the catalogue quotes.
std::map<std::string, std::vector<std::string>> quotations() {
  std::map<std::string, std::vector<std::string>> result;
  for (const auto& entry : fs::directory_iterator(kExperiments / "catalogue")) {
    const auto experiment = load_experiment(entry.path());
    if (!experiment) {
      ADD_FAILURE() << experiment.error().message;
      continue;
    }
    auto& quoted = result[entry.path().stem()];
    quoted.push_back(experiment->page);
    for (const Expectation& expectation : experiment->expectations) {
      quoted.push_back(expectation.page);
    }
  }
  return result;
}

TEST(Page, HasEachSentenceOnceInItsOrder) {
  const std::vector<std::string> sentences = page_sentences(markdown());
  ASSERT_GT(sentences.size(), 60U);
  const PageTable page = shipped_page();
  std::vector<std::string> rows = page.other;
  for (const PageStatement& statement : page.statements) rows.push_back(statement.text);
  EXPECT_THAT(rows, testing::UnorderedElementsAreArray(sentences));
  // Some sentences stand twice on the page, for two topologies.
  auto next = sentences.begin();
  for (const PageStatement& statement : page.statements) {
    next = std::find(next, sentences.end(), statement.text);
    ASSERT_NE(next, sentences.end()) << statement.id << " is out of order";
    ++next;
  }
}

TEST(Page, ExperimentsThatItNamesQuoteTheSentence) {
  const auto quoted = quotations();
  for (const PageStatement& statement : shipped_page().statements) {
    for (const std::string& name : statement.experiments) {
      ASSERT_TRUE(quoted.contains(name)) << statement.id << ": no experiment " << name;
      EXPECT_THAT(quoted.at(name), testing::Contains(HasSubstr(statement.text)))
          << name << " does not quote " << statement.id;
    }
  }
}

TEST(Page, EveryExperimentButTheControlsTriesSomethingAndQuotesVerbatim) {
  std::set<std::string> named;
  for (const PageStatement& statement : shipped_page().statements) {
    named.insert(statement.experiments.begin(), statement.experiments.end());
  }
  const std::string text = markdown();
  for (const auto& [name, quoted] : quotations()) {
    if (!name.starts_with("control-")) {
      EXPECT_TRUE(named.contains(name)) << name;
    }
    for (const std::string& quote : quoted) {
      for (const std::string& sentence : page_sentences(quote)) {
        EXPECT_THAT(text, HasSubstr(sentence)) << name;
      }
    }
  }
}

// README's table is made by scripts/page-table; its verdicts are those of some store.
TEST(Page, ReadmeHasARowForEachStatement) {
  const std::string readme = text_of(fs::path(ZQ_SOURCE_DIR) / "README.md");
  const std::size_t begin = readme.find("<!-- page-table:begin");
  const std::size_t end = readme.find("<!-- page-table:end");
  ASSERT_TRUE(begin < end && end != std::string::npos);
  std::vector<std::string> rows;
  std::istringstream table(readme.substr(begin, end - begin));
  for (std::string line; std::getline(table, line);) {
    if (line.starts_with("| ")) rows.push_back(line);
  }
  const PageTable page = shipped_page();
  ASSERT_EQ(rows.size(), page.statements.size() + 2) << "run scripts/page-table";
  for (std::size_t i = 0; i < page.statements.size(); ++i) {
    const PageStatement& statement = page.statements[i];
    EXPECT_THAT(rows[i + 2],
                testing::StartsWith(fmt::format("| {} | {} | {}", statement.id, statement.text,
                                                fmt::join(statement.experiments, ", "))));
  }
}

TEST(Page, SentencesAreSplitAtFullStopsBeforeCapitals) {
  EXPECT_THAT(page_sentences("---\nt: x\n---\n# Not. This\n- A (e.g. [1](u)) b. C d (e.g., `z`).\n"
                             "**Important:** E. f. **G** h\n"),
              testing::ElementsAre("A (e.g. [1](u)) b.", "C d (e.g., `z`).", "**Important:** E. f.",
                                   "**G** h"));
}

TEST(Page, MistakesAreNamedWithTheirPlace) {
  const auto page = parse_page(
      "[[statement]]\nid = \"A\"\ntopology = \"T5\"\nkind = \"caveat\"\ntext = \"x\"\n"
      "[[statement]]\nid = \"A\"\ntopology = \"T1\"\nkind = \"caveat\"\nchecks = [\"P-13\"]\n",
      "p.toml");
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::kInput);
  for (const char* message :
       {"p.toml:3:13: ", "'T5'", "nothing tries statement 'A'", "p.toml:7:", "'P-13'", "'text'"}) {
    EXPECT_THAT(page.error().message, HasSubstr(message));
  }
}

}  // namespace
}  // namespace zq
