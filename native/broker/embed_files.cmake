# Writes a C++ file that holds other files' bytes: cmake -DDIRECTORY=... -DFILES=a|b -DOUTPUT=... -P
# The assembler copies the bytes (.incbin), which takes no time even for large files.
string(REPLACE "|" ";" files "${FILES}")
set(assembly "")
set(declarations "")
set(entries "")
set(index 0)
foreach(file IN LISTS files)
  string(APPEND assembly
    "__asm__(\".section .rodata\\n.global conat_file_${index}\\nconat_file_${index}:\\n\"\n"
    "        \".incbin \\\"${DIRECTORY}/${file}\\\"\\n\"\n"
    "        \".global conat_file_${index}_end\\nconat_file_${index}_end:\\n.byte 0\\n.previous\\n\");\n")
  string(APPEND declarations
    "extern const std::uint8_t conat_file_${index}[];\nextern const std::uint8_t conat_file_${index}_end[];\n")
  string(APPEND entries
    "      {\"/${file}\", {conat_file_${index}, conat_file_${index}_end}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT}
"// Written by embed_files.cmake.
#include <vector>

#include \"broker/built_in_files.hpp\"

${assembly}
extern \"C\" {
${declarations}}

namespace conat::server {

std::span<const BuiltInFile> built_in_files() {
  static const std::vector<BuiltInFile> files = {
${entries}  };
  return files;
}

}  // namespace conat::server
")
