// Text -> terms, by recursive descent.
#include <algorithm>
#include <optional>
#include <utility>

#include "experiments/hint.h"
#include "experiments/selector_term.h"

namespace zq {
namespace {

using Term = Selector::Term;

constexpr unsigned kDeepest = 64;  // nesting beyond any purpose, long before the stack ends

struct Token {
  enum class Kind { kName, kSymbol, kEnd };
  Kind kind = Kind::kEnd;
  std::string_view text;
  std::uint32_t offset = 0;

  [[nodiscard]] bool is(std::string_view symbol) const {
    return kind == Kind::kSymbol && text == symbol;
  }
  [[nodiscard]] std::string describe() const {
    return kind == Kind::kEnd ? "the end" : fmt::format("'{}'", text);
  }
};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> kKinds{"zone", "region", "role", "node"};
  return kKinds;
}
const std::vector<std::string>& functions() {
  static const std::vector<std::string> kFunctions{"one",     "majority",  "minority",
                                                   "zone_of", "region_of", "node_of"};
  return kFunctions;
}

std::shared_ptr<Term> make_term(Term::Kind kind, std::string_view name, std::uint32_t offset) {
  auto term = std::make_shared<Term>();
  term->kind = kind;
  term->name = name;
  term->offset = offset;
  return term;
}

class Parser {
 public:
  Parser(std::string_view text, const Position& position) : text_(text), position_(position) {}

  Result<TermPtr> parse() {
    advance();
    if (token_.kind == Token::Kind::kEnd) {
      return problem(0, "an empty selector; expected something like zone:b or role:master");
    }
    ZQ_TRY(TermPtr result, either());
    if (token_.kind != Token::Kind::kEnd) {
      if (token_.is(")")) return problem(token_.offset, "a ')' without its '('");
      return problem(token_.offset, "expected '&', '|' or the end of the selector, but found {}",
                     token_.describe());
    }
    return result;
  }

 private:
  template <class... Args>
  [[nodiscard]] tl::unexpected<Error> problem(std::uint32_t offset,
                                              fmt::format_string<Args...> format,
                                              Args&&... args) const {
    return fail(ErrorCode::kInput, "{}: {}", position_at(position_, offset).to_string(),
                fmt::format(format, std::forward<Args>(args)...));
  }

  void advance() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
    token_ = Token{Token::Kind::kEnd, {}, static_cast<std::uint32_t>(at_)};
    if (at_ == text_.size()) return;
    std::size_t length = 1;
    if (is_name_character(text_[at_])) {
      token_.kind = Token::Kind::kName;
      while (at_ + length < text_.size() && is_name_character(text_[at_ + length])) ++length;
    } else {
      token_.kind = Token::Kind::kSymbol;
      // A character of several bytes is shown whole.
      while (at_ + length < text_.size() &&
             (static_cast<unsigned char>(text_[at_ + length]) & 0xc0U) == 0x80U) {
        ++length;
      }
    }
    token_.text = text_.substr(at_, length);
    at_ += length;
  }

  Result<TermPtr> either() {
    return joined("|", Term::Kind::kOr, [this] { return both(); });
  }
  Result<TermPtr> both() {
    return joined("&", Term::Kind::kAnd, [this] { return negation(); });
  }

  template <class Operand>
  Result<TermPtr> joined(std::string_view symbol, Term::Kind kind, Operand operand) {
    const std::uint32_t start = token_.offset;
    ZQ_TRY(TermPtr first, operand());
    if (!token_.is(symbol)) return first;
    auto result = make_term(kind, "", start);
    result->operands.push_back(std::move(first));
    while (token_.is(symbol)) {
      advance();
      if (token_.is(symbol)) {
        return problem(token_.offset, "a second '{0}'; a single '{0}' joins two sets", symbol);
      }
      ZQ_TRY(TermPtr next, operand());
      result->operands.push_back(std::move(next));
    }
    return TermPtr(std::move(result));
  }

  Result<TermPtr> negation() {
    if (!token_.is("!")) return atom();
    if (++depth_ > kDeepest) return too_deep();
    auto result = make_term(Term::Kind::kNot, "", token_.offset);
    advance();
    ZQ_TRY(TermPtr operand, negation());
    --depth_;
    result->operands.push_back(std::move(operand));
    return TermPtr(std::move(result));
  }

  Result<TermPtr> atom() {
    if (token_.is("(")) {
      if (++depth_ > kDeepest) return too_deep();
      advance();
      ZQ_TRY(TermPtr inner, either());
      --depth_;
      ZQ_CHECK(expect(")"));
      return inner;
    }
    if (token_.kind != Token::Kind::kName) {
      return problem(token_.offset,
                     "expected a set of nodes, like zone:b, role:master or all, but found {}",
                     token_.describe());
    }
    const Token name = token_;
    advance();
    if (token_.is(":")) return by_kind(name);
    if (token_.is("(")) return call(name);
    if (name.text == "all") return TermPtr(make_term(Term::Kind::kAll, "", name.offset));
    if (std::find(functions().begin(), functions().end(), name.text) != functions().end()) {
      return problem(token_.offset, "'{}' takes an argument in parentheses", name.text);
    }
    return TermPtr(make_term(Term::Kind::kSelection, name.text, name.offset));
  }

  Result<TermPtr> by_kind(const Token& kind) {
    const auto known = std::find(kinds().begin(), kinds().end(), kind.text);
    if (known == kinds().end()) {
      return problem(kind.offset, "unknown kind '{}' in front of ':'{}", kind.text,
                     nearest_hint(kind.text, kinds(), "known kinds"));
    }
    advance();
    if (token_.kind != Token::Kind::kName) {
      return problem(token_.offset, "expected the name of a {} after '{}:', but found {}",
                     kind.text, kind.text, token_.describe());
    }
    static constexpr std::array kTermKinds{Term::Kind::kZone, Term::Kind::kRegion,
                                           Term::Kind::kRole, Term::Kind::kNode};
    const auto index = static_cast<std::size_t>(known - kinds().begin());
    auto result = make_term(kTermKinds[index], token_.text, token_.offset);
    advance();
    return TermPtr(std::move(result));
  }

  // The current token is the '(' behind the name.
  Result<TermPtr> call(const Token& function) {
    if (function.text == "leader") {
      return problem(function.offset,
                     "leader() must stand inside node_of() or zone_of(): which of them is cut?");
    }
    if (std::find(functions().begin(), functions().end(), function.text) == functions().end()) {
      return problem(function.offset, "unknown function '{}'{}", function.text,
                     nearest_hint(function.text, functions(), "known functions"));
    }
    if (++depth_ > kDeepest) return too_deep();
    advance();
    auto result = make_term(Term::Kind::kOne, "", function.offset);
    if (function.text == "one") {
      ZQ_TRY(TermPtr operand, either());
      result->operands.push_back(std::move(operand));
    } else if (function.text == "majority" || function.text == "minority") {
      result->kind = function.text == "majority" ? Term::Kind::kMajority : Term::Kind::kMinority;
      ZQ_CHECK(read_system(*result));
    } else {
      ZQ_TRY(result, place_of(function));
    }
    ZQ_CHECK(expect(")"));
    --depth_;
    return TermPtr(std::move(result));
  }

  // node_of(leader(SYSTEM)), and zone_of() or region_of() of that or of any set.
  Result<std::shared_ptr<Term>> place_of(const Token& function) {
    const bool leader = token_.kind == Token::Kind::kName && token_.text == "leader";
    auto result =
        make_term(function.text == "region_of" ? Term::Kind::kRegionOf : Term::Kind::kZoneOf, "",
                  function.offset);
    if (!leader && function.text == "node_of") {
      return problem(token_.offset, "expected leader(SYSTEM) inside node_of(), but found {}",
                     token_.describe());
    }
    if (!leader) {
      ZQ_TRY(TermPtr operand, either());
      result->operands.push_back(std::move(operand));
      return result;
    }
    auto leads = make_term(
        function.text == "zone_of" ? Term::Kind::kZoneOfLeader : Term::Kind::kNodeOfLeader, "",
        function.offset);
    advance();
    ZQ_CHECK(expect("("));
    ZQ_CHECK(read_system(*leads));
    ZQ_CHECK(expect(")"));
    if (function.text != "region_of") return leads;
    result->operands.push_back(std::move(leads));
    return result;
  }

  Status read_system(Term& term) {
    if (token_.kind != Token::Kind::kName) {
      return problem(token_.offset, "expected the name of a system, but found {}",
                     token_.describe());
    }
    term.name = token_.text;
    term.offset = token_.offset;
    advance();
    return {};
  }

  Status expect(std::string_view symbol) {
    if (!token_.is(symbol)) {
      return problem(token_.offset, "expected '{}', but found {}", symbol, token_.describe());
    }
    advance();
    return {};
  }

  [[nodiscard]] tl::unexpected<Error> too_deep() const {
    return problem(token_.offset, "nested more than {} levels deep; use names from [select]",
                   kDeepest);
  }

  std::string_view text_;
  const Position& position_;
  std::size_t at_ = 0;
  Token token_;
  unsigned depth_ = 0;
};

}  // namespace

Result<TermPtr> parse_selector_term(std::string_view text, const Position& position) {
  return Parser(text, position).parse();
}

}  // namespace zq
