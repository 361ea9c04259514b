#include "client/settings.hpp"

namespace conat::native {

Result<StoreLocation> store_location(const std::string& name, const std::string& account_id,
                                     const std::string& project_id) {
  if (!account_id.empty() && !project_id.empty()) {
    return Error(ErrorKind::invalid_argument, "a store has one owner: an account or a project");
  }
  if (!account_id.empty()) {
    return StoreLocation{"account-" + account_id, "accounts/" + account_id + "/" + name};
  }
  if (!project_id.empty()) {
    return StoreLocation{"project-" + project_id, "projects/" + project_id + "/" + name};
  }
  return StoreLocation{"hub", "hub/" + name};
}

}  // namespace conat::native
