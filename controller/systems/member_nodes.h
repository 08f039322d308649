// Which node of the cluster file a member is, that a system knows by its own id.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/systems/placement.h"

namespace zq {

class MemberNodes {
 public:
  explicit MemberNodes(const std::vector<Place>& places);

  // By address or by name; null when the cluster file does not have it.
  [[nodiscard]] const Place* find(const std::string& host) const;
  // A member gave its addresses and names; the first that is known counts, and an id that was
  // learnt stays.
  void learn(const std::string& id, std::initializer_list<std::string> hosts);
  // A member answered on the node itself.
  void learn(const std::string& id, const Place& place) { nodes_[id] = &place; }
  // Null: not in the cluster file, or nobody has told.
  [[nodiscard]] const Place* of(const std::string& id) const;

 private:
  std::map<IpAddress, const Place*> by_address_;
  std::map<std::string, const Place*> by_name_;
  std::map<std::string, const Place*> nodes_;
};

}  // namespace zq
