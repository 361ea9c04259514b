#include "cli/app.hpp"

namespace conat::cli {
namespace {

constexpr const char* kFooter =
    R"(Values are JSON if they parse as JSON, else text; '-' reads the value from standard input, '@FILE'
from a file ('@@' begins a text with one '@'). A value that starts with a dash goes behind '--'.

Examples:
  conat sub 'news.*'
  conat pub news.today '{"title":"It works"}'
  conat reply double --command 'jq ". * 2"'
  conat request double 21
  conat kv set board note-1 '{"text":"Hello"}'
  conat stream tail log --follow
  conat context add work --server https://conat.example.org --token @token.txt --use
  conat COMMAND --help

Exit codes: 0 done; 1 error, also when the server cannot be reached; 2 wrong usage; 3 no answer in
time, or nobody subscribed.)";

// Beware: default_val() writes to its variable at once, so that variables of options with a
// default belong to one command.
CLI::App* add_command(CLI::App& parent, RawOptions& raw, Command command, const char* name,
                      const char* description, const char* examples) {
  CLI::App* added = parent.add_subcommand(name, description);
  added->callback([&raw, command] { raw.options.command = command; });
  added->fallthrough();
  added->footer(std::string("Examples:\n") + examples);
  return added;
}

CLI::App* add_group(CLI::App& parent, const char* name, const char* description) {
  CLI::App* group = parent.add_subcommand(name, description);
  group->require_subcommand(1);
  group->fallthrough();
  return group;
}

void add_global_options(CLI::App& app, RawOptions& raw) {
  Options& options = raw.options;
  Context& connection = options.connection;
  app.add_option("-s,--server", connection.server,
                 "Address of the server, http(s)://host:port/base (default: the context's, else "
                 "http://127.0.0.1:8080)")
      ->envname("CONAT_SERVER");
  app.add_option("-c,--context", options.context, "Use this saved server (see conat context)")
      ->envname("CONAT_CONTEXT");
  app.add_option("-t,--timeout", raw.timeout_seconds,
                 "Seconds to wait for the connection, and then for the answer")
      ->default_val(10);
  app.add_flag("-j,--json", options.json, "Print JSON, one value per line");
  app.add_option("--auth", raw.auth,
                 "JSON object that tells the server who you are; '@FILE' reads it from a file")
      ->envname("CONAT_AUTH");
  app.add_option("--token", connection.token, "The same with a token; '@FILE' reads it from a file")
      ->envname("CONAT_TOKEN");
  app.add_option("--cookie", connection.cookie, "Cookies to send, name=value; ...")
      ->envname("CONAT_COOKIE");
  app.add_option("--system-password", connection.system_password,
                 "Sign in as the system account; '@FILE' reads the password from a file")
      ->envname("CONAT_SYSTEM_PASSWORD");
  app.add_option("--inbox-prefix", connection.inbox_prefix,
                 "Where answers to you go, if the server asks for one of your own: "
                 "_INBOX.account-ID, _INBOX.project-ID")
      ->envname("CONAT_INBOX_PREFIX");
  app.add_option("--ca-file", connection.ca_file, "Trust the certificates in this PEM file too")
      ->envname("CONAT_CA_FILE");
  app.add_flag("--insecure", connection.insecure, "Accept any certificate");
  app.add_flag("--text-packets", options.text_packets,
               "Speak Socket.IO's default encoding (for servers without MessagePack)");
  app.set_version_flag("--version", CONAT_VERSION);
}

void add_value(CLI::App* command, RawOptions& raw) {
  CLI::Option* value = command->add_option(
      "VALUE", raw.value, "JSON or text; '-' for standard input, '@FILE' for a file");
  command->add_option("-f,--file", raw.options.file, "Read the value from this file")
      ->excludes(value);
  CLI::Option* text = command->add_flag("--text", raw.options.as_text, "Send text, never JSON");
  command->add_flag("--bytes", raw.options.as_bytes, "Send bytes, as they are")->excludes(text);
}

void add_headers(CLI::App* command, RawOptions& raw) {
  command->add_option("--headers", raw.headers, "JSON object of headers");
}

void add_raw(CLI::App* command, RawOptions& raw) {
  command->add_flag("--raw", raw.options.raw, "Print texts and bytes as they are, no newline");
}

void add_messaging_commands(CLI::App& app, RawOptions& raw) {
  Options& options = raw.options;
  CLI::App* pub = add_command(app, raw, Command::publish, "pub", "Publish one message",
                              "  conat pub news.today '{\"title\":\"It works\"}'\n"
                              "  date | conat pub clock -\n"
                              "  conat pub pictures.cat --bytes --file cat.jpg\n"
                              "  conat pub job.start 1 --headers '{\"priority\":\"high\"}' --wait");
  pub->add_option("SUBJECT", options.subject)->required();
  add_value(pub, raw);
  add_headers(pub, raw);
  pub->add_flag("--wait", options.wait, "Wait until somebody subscribes");

  CLI::App* sub = add_command(app, raw, Command::subscribe, "sub", "Print messages as they come",
                              "  conat sub 'news.*'\n"
                              "  conat sub jobs --queue workers --count 10 --json\n"
                              "  conat sub pictures.cat --count 1 --raw > cat.jpg");
  sub->add_option("PATTERN", options.subject, "'*' matches one token, a last '>' the rest")
      ->required();
  sub->add_option("-n,--count", options.count, "End after so many messages");
  sub->add_option("-q,--queue", options.queue, "Queue group: each message goes to one member");
  add_raw(sub, raw);

  CLI::App* request =
      add_command(app, raw, Command::request, "request", "Ask, print the answer",
                  "  conat request double 21\n"
                  "  conat request status --many --timeout 2\n"
                  "  conat request sys.conat.default '[\"stats\",[]]' --system-password @password");
  request->add_option("SUBJECT", options.subject)->required();
  add_value(request, raw);
  add_headers(request, raw);
  request->add_flag("--wait", options.wait, "Wait until somebody subscribes");
  request->add_flag("--many", options.many, "Print answers until null, or silence for --timeout");
  add_raw(request, raw);

  CLI::App* reply = add_command(app, raw, Command::reply, "reply", "Answer requests",
                                "  conat reply double --command 'jq \". * 2\"'\n"
                                "  conat reply 'echo.*' --echo --count 100");
  reply->add_option("SUBJECT", options.subject, "A pattern works too")->required();
  CLI::Option* echo = reply->add_flag("--echo", options.echo, "Answer with what was asked");
  reply
      ->add_option("--command", options.shell_command,
                   "Run by the shell for each request: the value on its standard input, the "
                   "subject in $CONAT_SUBJECT, its output is the answer")
      ->excludes(echo);
  reply->add_option("-q,--queue", options.queue, "Queue group (default: 0)");
  reply->add_option("-n,--count", options.count, "End after so many requests");

  CLI::App* interest =
      add_command(app, raw, Command::interest, "interest", "Is anybody subscribed? (exit code)",
                  "  conat interest news.today\n"
                  "  conat interest news.today --wait && conat pub news.today 1");
  interest->add_option("SUBJECT", options.subject)->required();
  interest->add_flag("--wait", options.wait, "Wait for it, up to --timeout");
}

void add_store_options(CLI::App* group, RawOptions& raw) {
  CLI::Option* account =
      group->add_option("--account", raw.options.account, "Of this account, not of the hub");
  group->add_option("--project", raw.options.project, "Of this project, not of the hub")
      ->excludes(account);
  group->add_flag("--ephemeral", raw.options.ephemeral, "In the server's memory only");
}

void add_kv_commands(CLI::App& app, RawOptions& raw) {
  Options& options = raw.options;
  CLI::App* kv = add_group(app, "kv", "Key-value stores");
  add_store_options(kv, raw);
  CLI::App* get =
      add_command(*kv, raw, Command::kv_get, "get", "Print a value", "  conat kv get board note-1");
  CLI::App* set = add_command(*kv, raw, Command::kv_set, "set", "Set a value and save it",
                              "  conat kv set board note-1 '{\"text\":\"Hello\"}'\n"
                              "  conat kv set files logo --bytes --file logo.png");
  CLI::App* erase = add_command(*kv, raw, Command::kv_delete, "delete", "Delete a key",
                                "  conat kv delete board note-1");
  CLI::App* list = add_command(*kv, raw, Command::kv_list, "ls", "Print all keys and values",
                               "  conat kv ls board --json");
  CLI::App* watch = add_command(*kv, raw, Command::kv_watch, "watch", "Print changes as they come",
                                "  conat kv watch board\n  conat kv watch board note-1 --count 1");
  for (CLI::App* command : {get, set, erase, list, watch}) {
    command->add_option("NAME", options.store, "Name of the store")->required();
  }
  for (CLI::App* command : {get, set, erase}) {
    command->add_option("KEY", options.key)->required();
  }
  watch->add_option("KEY", options.key, "Only this key");
  watch->add_option("-n,--count", options.count, "End after so many changes");
  add_value(set, raw);
  add_raw(get, raw);
}

void add_stream_commands(CLI::App& app, RawOptions& raw) {
  Options& options = raw.options;
  CLI::App* stream = add_group(app, "stream", "Persistent streams of messages");
  add_store_options(stream, raw);
  CLI::App* publish = add_command(*stream, raw, Command::stream_publish, "publish",
                                  "Append a message, print its number",
                                  "  conat stream publish log '{\"level\":\"info\"}'\n"
                                  "  conat stream publish prices 42 --key gold");
  CLI::App* get = add_command(*stream, raw, Command::stream_get, "get", "Print one message",
                              "  conat stream get log 17\n  conat stream get prices --key gold");
  CLI::App* list = add_command(*stream, raw, Command::stream_list, "ls", "Print the messages",
                               "  conat stream ls log\n  conat stream ls log --from 100 --to 200");
  CLI::App* tail = add_command(*stream, raw, Command::stream_tail, "tail",
                               "Print the last messages, and what comes",
                               "  conat stream tail log\n  conat stream tail log --last 0 -f");
  CLI::App* erase = add_command(*stream, raw, Command::stream_delete, "delete", "Delete messages",
                                "  conat stream delete log 17\n  conat stream delete log --to 100");
  CLI::App* config =
      add_command(*stream, raw, Command::stream_config, "config", "Print or change the limits",
                  "  conat stream config log\n"
                  "  conat stream config log max_msgs=1000 max_age=86400000 discard_policy=old");
  CLI::App* info = add_command(*stream, raw, Command::stream_info, "info",
                               "Number of messages, size, limits", "  conat stream info log");
  for (CLI::App* command : {publish, get, list, tail, erase, config, info}) {
    command->add_option("NAME", options.store, "Name of the stream")->required();
  }
  add_value(publish, raw);
  add_headers(publish, raw);
  publish->add_option("-k,--key", options.key, "Replaces the message with this key");
  publish->add_option("--ttl", options.ttl_seconds,
                      "Seconds after which it goes, where the stream allows it");
  CLI::Option* seq = get->add_option("SEQ", options.seq, "Number of the message");
  get->add_option("-k,--key", options.key, "The message with this key")->excludes(seq);
  add_raw(get, raw);
  list->add_option("--from", options.seq, "First number");
  list->add_option("--to", options.last, "Last number");
  tail->add_option("-n,--last", options.tail, "So many messages at first")->default_val(10);
  tail->add_flag("-f,--follow", options.follow, "Go on with what comes");
  tail->add_option("--count", options.count, "End after so many messages");
  CLI::Option* one = erase->add_option("SEQ", options.seq, "Number of the message");
  CLI::Option* up_to =
      erase->add_option("--to", options.last, "All up to this number")->excludes(one);
  erase->add_flag("--all", options.all, "All")->excludes(one)->excludes(up_to);
  config->add_option("FIELD=VALUE", options.assignments, "What to change");
}

void add_server_commands(CLI::App& app, RawOptions& raw) {
  Options& options = raw.options;
  add_command(app, raw, Command::info, "info", "The server, and who you are there",
              "  conat info --json");
  CLI::App* stats = add_command(app, raw, Command::stats, "stats",
                                "The server's connections (needs the system account or a hub)",
                                "  conat stats --system-password @password\n"
                                "  conat stats --usage --json");
  stats->add_option("--cluster", options.cluster, "Name of the cluster")->default_val("default");
  stats->add_flag("--usage", options.usage, "Connections by user instead");
  CLI::App* bench = add_command(app, raw, Command::bench, "bench",
                                "Measure messages per second, and the time of a request",
                                "  conat bench\n  conat bench --count 1000000 --bytes 1024");
  bench->add_option("-n,--count", options.bench_messages, "Messages")->default_val(100'000);
  bench->add_option("-b,--bytes", options.bench_bytes, "Bytes of one message")->default_val(128);
}

void add_context_commands(CLI::App& app, RawOptions& raw) {
  Options& options = raw.options;
  CLI::App* context = add_group(app, "context", "Servers with credentials, saved by name");
  CLI::App* add = add_command(
      *context, raw, Command::context_add, "add", "Save --server and the credentials given",
      "  conat context add work --server https://conat.example.org --token @token.txt --use");
  CLI::App* use = add_command(*context, raw, Command::context_use, "use",
                              "Use it when no other is named", "  conat context use work");
  CLI::App* list = add_command(*context, raw, Command::context_list, "ls",
                               "Print the contexts, without secrets", "  conat context ls");
  CLI::App* remove = add_command(*context, raw, Command::context_remove, "rm", "Forget it",
                                 "  conat context rm work");
  for (CLI::App* command : {add, use, remove}) {
    command->add_option("NAME", options.name)->required();
  }
  add->add_flag("--use", options.use, "Use it from now on");
  list->add_flag("--names", options.names, "Only the names");
}

}  // namespace

void define_app(CLI::App& app, RawOptions& raw) {
  app.require_subcommand(1);
  app.footer(kFooter);
  app.option_defaults()->always_capture_default(false);
  add_global_options(app, raw);
  add_messaging_commands(app, raw);
  add_kv_commands(app, raw);
  add_stream_commands(app, raw);
  add_server_commands(app, raw);
  add_context_commands(app, raw);
  CLI::App* completion =
      add_command(app, raw, Command::completion, "completion", "Print a script for your shell",
                  "  source <(conat completion bash)\n"
                  "  conat completion zsh > ~/.zfunc/_conat\n"
                  "  conat completion fish > ~/.config/fish/completions/conat.fish");
  completion->add_option("SHELL", raw.options.name, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace conat::cli
