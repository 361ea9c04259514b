// Completion scripts, made from the same description as the command line itself.
#include <functional>
#include <sstream>
#include <vector>

#include "cli/app.hpp"

namespace conat::cli {
namespace {

struct CommandLine {
  std::string path;  // " kv set"; empty for the program itself
  std::vector<std::pair<std::string, std::string>> commands;  // name, description
  std::vector<std::pair<std::string, std::string>> options;   // "--name", description
};

struct Description {
  std::vector<CommandLine> lines;
  std::vector<std::string> with_value;  // options that take one
};

void describe(const CLI::App& app, const std::string& path, const CommandLine* parent,
              Description& description) {
  CommandLine line;
  line.path = path;
  if (parent != nullptr) line.options = parent->options;  // they fall through
  for (const CLI::Option* option : app.get_options()) {
    const bool takes_value = option->get_items_expected_max() > 0;
    for (const std::string& name : option->get_lnames()) {
      if (parent != nullptr && (name == "help" || name == "version")) continue;
      line.options.emplace_back("--" + name, option->get_description());
      if (takes_value) description.with_value.push_back("--" + name);
    }
    for (const std::string& name : option->get_snames()) {
      if (takes_value) description.with_value.push_back("-" + name);
    }
  }
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : commands) {
    line.commands.emplace_back(command->get_name(), command->get_description());
  }
  description.lines.push_back(line);
  for (const CLI::App* command : commands) {
    describe(*command, path + " " + command->get_name(), &line, description);
  }
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string result;
  for (const std::string& word : words) result += (result.empty() ? "" : between) + word;
  return result;
}

std::vector<std::string> names(const std::vector<std::pair<std::string, std::string>>& items) {
  std::vector<std::string> result;
  for (const auto& [name, text] : items) result.push_back(name);
  return result;
}

// In single quotes, with what the shells' completion treats as special taken out.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// The patterns of a `case` on what was found so far and the next word.
std::string path_patterns(const Description& description) {
  std::vector<std::string> patterns;
  for (const CommandLine& line : description.lines) {
    if (!line.path.empty()) patterns.push_back("\"" + line.path + "\"");
  }
  return joined(patterns, "|");
}

std::string bash_script(const Description& description) {
  std::ostringstream out;
  out << "# conat's completion for bash:  source <(conat completion bash)\n"
         "_conat() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
         "  local path='' words='' word i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=\"${COMP_WORDS[i]}\"\n"
         "    case \"$word\" in\n"
         "      "
      << joined(description.with_value, "|")
      << ") ((i++)); continue ;;\n"
         "    esac\n"
         "    case \"$path $word\" in\n"
         "      "
      << path_patterns(description)
      << ") path=\"$path $word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$previous\" in\n"
         "    --file|-f|--ca-file)\n"
         "      mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return ;;\n"
         "    --context|-c)\n"
         "      mapfile -t COMPREPLY < <(compgen -W \"$(conat context ls --names 2>/dev/null)\" -- "
         "\"$current\"); return ;;\n"
         "    "
      << joined(description.with_value, "|")
      << ") return ;;\n"
         "  esac\n"
         "  case \"$path\" in\n";
  for (const CommandLine& line : description.lines) {
    std::vector<std::string> words = names(line.commands);
    if (line.path == " completion") words = {"bash", "zsh", "fish"};
    const bool context = line.path == " context use" || line.path == " context rm";
    out << "    \"" << line.path << "\") words=\"" << joined(words, " ")
        << (context ? "$(conat context ls --names 2>/dev/null)" : "")
        << (words.empty() && !context ? "" : " ") << joined(names(line.options), " ") << "\" ;;\n";
  }
  out << "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\n"
         "complete -F _conat conat\n";
  return out.str();
}

// `name:description`, for _describe.
std::string zsh_item(const std::pair<std::string, std::string>& item) {
  std::string text;
  for (const char c : item.second) text += c == ':' ? ' ' : c;
  return quoted(item.first + ":" + text);
}

std::string zsh_script(const Description& description) {
  std::ostringstream out;
  out << "#compdef conat\n"
         "# conat's completion for zsh:  conat completion zsh > ~/.zfunc/_conat\n"
         "_conat() {\n"
         "  local line='' word i previous=\"${words[CURRENT-1]}\"\n"
         "  local -a commands options\n"
         "  for ((i = 2; i < CURRENT; i++)); do\n"
         "    word=\"${words[i]}\"\n"
         "    case \"$word\" in\n"
         "      "
      << joined(description.with_value, "|")
      << ") ((i++)); continue ;;\n"
         "    esac\n"
         "    case \"$line $word\" in\n"
         "      "
      << path_patterns(description)
      << ") line=\"$line $word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$previous\" in\n"
         "    --file|-f|--ca-file) _files; return ;;\n"
         "    --context|-c) compadd -- ${(f)\"$(conat context ls --names 2>/dev/null)\"}; return "
         ";;\n"
         "    "
      << joined(description.with_value, "|")
      << ") return ;;\n"
         "  esac\n"
         "  case \"$line\" in\n";
  for (const CommandLine& line : description.lines) {
    out << "    \"" << line.path << "\")\n";
    if (line.path == " completion") out << "      commands=(bash zsh fish)\n";
    if (line.path == " context use" || line.path == " context rm") {
      out << "      commands=(${(f)\"$(conat context ls --names 2>/dev/null)\"})\n";
    }
    if (!line.commands.empty()) {
      out << "      commands=(";
      for (const auto& item : line.commands) out << zsh_item(item) << " ";
      out << ")\n";
    }
    out << "      options=(";
    for (const auto& item : line.options) out << zsh_item(item) << " ";
    out << ") ;;\n";
  }
  out << "  esac\n"
         "  [[ ${#commands} -gt 0 ]] && _describe command commands\n"
         "  _describe option options\n"
         "}\n"
         "compdef _conat conat\n";
  return out.str();
}

std::string fish_script(const Description& description) {
  std::ostringstream out;
  out << "# conat's completion for fish:\n"
         "#   conat completion fish > ~/.config/fish/completions/conat.fish\n"
         "function __conat_line\n"
         "  set -l line ''\n"
         "  for word in (commandline -opc)[2..-1]\n"
         "    switch \"$line $word\"\n"
         "      case";
  for (const CommandLine& line : description.lines) {
    if (!line.path.empty()) out << " " << quoted(line.path);
  }
  out << "\n"
         "        set line \"$line $word\"\n"
         "    end\n"
         "  end\n"
         "  test \"$line\" = \"$argv[1]\"\n"
         "end\n"
         "complete -c conat -f\n";
  for (const CommandLine& line : description.lines) {
    const std::string condition = " -n " + quoted("__conat_line " + quoted(line.path));
    const std::string here = "complete -c conat" + condition;
    for (const auto& [name, text] : line.commands) {
      out << here << " -a " << name << " -d " << quoted(text) << "\n";
    }
    for (const auto& [name, text] : line.options) {
      const bool file = name == "--file" || name == "--ca-file";
      out << here << (file ? " -rF" : "") << " -l " << name.substr(2) << " -d " << quoted(text)
          << "\n";
    }
    if (line.path == " completion") out << here << " -a 'bash zsh fish'\n";
    if (line.path == " context use" || line.path == " context rm") {
      out << here << " -a '(conat context ls --names 2>/dev/null)'\n";
    }
  }
  return out.str();
}

}  // namespace

std::string completion_script(const std::string& shell) {
  CLI::App app("", "conat");
  RawOptions raw;
  define_app(app, raw);
  Description description;
  describe(app, "", nullptr, description);
  if (shell == "bash") return bash_script(description);
  if (shell == "zsh") return zsh_script(description);
  if (shell == "fish") return fish_script(description);
  return {};
}

}  // namespace conat::cli
