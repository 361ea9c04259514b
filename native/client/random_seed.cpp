#include "client/random_seed.hpp"

#include <openssl/rand.h>

#include <cstdlib>

namespace conat::native {

Random seeded_random() {
  Random::Seed seed;
  if (RAND_bytes(seed.data(), static_cast<int>(seed.size())) != 1) std::abort();
  return Random(seed);
}

}  // namespace conat::native
