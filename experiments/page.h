// The multi-datacenter page as a table (experiments/page.toml): every sentence of it, and what
// tries those that predict or recommend something.
//
//   [[statement]]
//   id          = "T1-C1a"
//   topology    = "T1"                  # T1 to T4, or general
//   kind        = "caveat"              # or recommendation
//   text        = "If an agent-only zone fails, ..."   # verbatim
//   experiments = ["t1-c1-agent-zone-fails"]           # names in catalogue/; may be empty
//   checks      = ["P-04"]              # of `zonequake check`; may be empty
//   note        = "not built: ..."      # optional
//   [[other]]                           # predicts and recommends nothing
//   text        = "..."
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"
#include "experiments/position.h"

namespace zq {

struct PageStatement {
  std::string id;
  std::string topology;
  std::string kind;
  std::string text;
  std::vector<std::string> experiments;
  std::vector<std::string> checks;
  std::string note;
  Position position;
};

struct PageTable {
  std::vector<PageStatement> statements;  // in the page's order
  std::vector<std::string> other;
};

// Both report everything that is wrong, one "FILE:LINE:COLUMN: message" a line. A statement that
// nothing tries must say why in its note.
Result<PageTable> load_page(const std::string& path);
Result<PageTable> parse_page(const std::string& text, const std::string& path);

// The sentences of the page's Markdown in their order: without front matter, comments and headings,
// list items without their dash. A full stop, a space and a capital letter (or bold text) end one.
[[nodiscard]] std::vector<std::string> page_sentences(std::string_view markdown);

}  // namespace zq
