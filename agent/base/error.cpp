#include "agent/base/error.h"

#include <system_error>

namespace zq {

tl::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  return fail(ErrorCode::kKernel, "{}: {}", what, std::generic_category().message(error_number));
}

}  // namespace zq
