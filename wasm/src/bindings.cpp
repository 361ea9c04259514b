// What JavaScript sees of the module: the class `Fabric` (fabric_handle.hpp tells how it is used)
// and the checks of subjects. hot_path.cpp exports the calls that are made for every message.
// web/client/src/wasm/module.ts declares the same in TypeScript.
#include <emscripten/bind.h>

#include "conat/stream/persist_scope.hpp"
#include "conat/stream/persist_server.hpp"
#include "conat/subject/subject.hpp"
#include "fabric_handle.hpp"

namespace {

bool valid_subject(const std::string& subject) { return conat::is_valid_subject(subject); }
bool valid_pattern(const std::string& pattern) { return conat::is_valid_pattern(pattern); }

// Why a request on `subject` may not open `path`, always with code 403; empty: it may.
std::string storage_refusal(const std::string& subject, const std::string& service,
                            const std::string& path) {
  const auto scope = conat::persist_parts::scope_of(subject, service);
  if (!scope) return scope.error().text;
  const conat::Status allowed = conat::check_storage_path(*scope, path, subject);
  return allowed ? std::string() : allowed.error().text;
}

using Handle = conat::FabricHandle;

void bind_memory(emscripten::class_<Handle>& fabric) {
  fabric.function("address", &Handle::address)
      .function("reserve", &Handle::reserve)
      .function("result", &Handle::result)
      .function("errorNumber", &Handle::error_number)
      .function("errorWord", &Handle::error_word)
      .function("errorText", &Handle::error_text);
}

void bind_client(emscripten::class_<Handle>& fabric) {
  fabric.function("connect", &Handle::connect)
      .function("disconnect", &Handle::disconnect)
      .function("close", &Handle::close)
      .function("wake", &Handle::wake)
      .function("setAuth", &Handle::set_auth)
      .function("renewAuth", &Handle::renew_auth)
      .function("renewalFailed", &Handle::renewal_failed)
      .function("onTransportOpen", &Handle::on_transport_open)
      .function("onTransportClosed", &Handle::on_transport_closed)
      .function("dropTransport", &Handle::drop_transport)
      .function("onTime", &Handle::on_time)
      .function("subscribe", &Handle::subscribe)
      .function("unsubscribe", &Handle::unsubscribe)
      .function("publish", &Handle::publish)
      .function("request", &Handle::request)
      .function("cancel", &Handle::cancel)
      .function("waitForInterest", &Handle::wait_for_interest)
      .function("askServer", &Handle::ask_server)
      .function("syncSubscriptions", &Handle::sync_subscriptions)
      .function("inboxReady", &Handle::inbox_ready)
      .function("queue", &Handle::queue)
      .function("state", &Handle::state)
      .function("signedIn", &Handle::signed_in)
      .function("id", &Handle::id)
      .function("socketId", &Handle::socket_id)
      .function("inbox", &Handle::inbox)
      .function("subscriptionCount", &Handle::subscription_count)
      .function("statistics", &Handle::statistics);
}

void bind_stores(emscripten::class_<Handle>& fabric) {
  fabric.function("dkvOpen", &Handle::dkv_open)
      .function("dkvClose", &Handle::dkv_close)
      .function("dkvBelow", &Handle::dkv_below)
      .function("dkvGet", &Handle::dkv_get)
      .function("dkvHas", &Handle::dkv_has)
      .function("dkvSize", &Handle::dkv_size)
      .function("dkvEntries", &Handle::dkv_entries)
      .function("dkvSeq", &Handle::dkv_seq)
      .function("dkvTime", &Handle::dkv_time)
      .function("dkvHeaders", &Handle::dkv_headers)
      .function("dkvSet", &Handle::dkv_set)
      .function("dkvErase", &Handle::dkv_erase)
      .function("dkvClear", &Handle::dkv_clear)
      .function("dkvSave", &Handle::dkv_save)
      .function("dkvResolve", &Handle::dkv_resolve)
      .function("dkvKept", &Handle::dkv_kept)
      .function("dkvRestore", &Handle::dkv_restore)
      .function("dkvHasUnsavedChanges", &Handle::dkv_has_unsaved_changes)
      .function("dkvIsStable", &Handle::dkv_is_stable)
      .function("dkvUnsavedChanges", &Handle::dkv_unsaved_changes);
}

void bind_streams(emscripten::class_<Handle>& fabric) {
  fabric.function("streamOpen", &Handle::stream_open)
      .function("streamClose", &Handle::stream_close)
      .function("streamRequest", &Handle::stream_request)
      .function("streamFollowChanges", &Handle::stream_follow_changes)
      .function("streamSetReconnectDelay", &Handle::stream_set_reconnect_delay);
}

void bind_logs(emscripten::class_<Handle>& fabric) {
  fabric.function("coreStreamOpen", &Handle::core_stream_open)
      .function("coreStreamClose", &Handle::core_stream_close)
      .function("coreStreamBelow", &Handle::core_stream_below)
      .function("coreStreamLength", &Handle::core_stream_length)
      .function("coreStreamSeqs", &Handle::core_stream_seqs)
      .function("coreStreamEntries", &Handle::core_stream_entries)
      .function("coreStreamIndex", &Handle::core_stream_index)
      .function("coreStreamKeySeq", &Handle::core_stream_key_seq)
      .function("coreStreamKeys", &Handle::core_stream_keys)
      .function("coreStreamBytes", &Handle::core_stream_bytes)
      .function("coreStreamSeen", &Handle::core_stream_seen)
      .function("coreStreamStart", &Handle::core_stream_start)
      .function("coreStreamLoad", &Handle::core_stream_load)
      .function("coreStreamForget", &Handle::core_stream_forget)
      .function("dstreamOpen", &Handle::dstream_open)
      .function("dstreamClose", &Handle::dstream_close)
      .function("dstreamBelow", &Handle::dstream_below)
      .function("dstreamLength", &Handle::dstream_length)
      .function("dstreamIds", &Handle::dstream_ids)
      .function("dstreamEntries", &Handle::dstream_entries)
      .function("dstreamStart", &Handle::dstream_start)
      .function("dstreamPublish", &Handle::dstream_publish)
      .function("dstreamSave", &Handle::dstream_save)
      .function("dstreamLoad", &Handle::dstream_load)
      .function("dstreamForget", &Handle::dstream_forget)
      .function("dstreamKept", &Handle::dstream_kept)
      .function("dstreamRestore", &Handle::dstream_restore)
      .function("dstreamUnsaved", &Handle::dstream_unsaved)
      .function("dstreamIsStable", &Handle::dstream_is_stable);
}

void bind_sockets(emscripten::class_<Handle>& fabric) {
  fabric.function("socketListen", &Handle::socket_listen)
      .function("socketCloseServer", &Handle::socket_close_server)
      .function("socketServerState", &Handle::socket_server_state)
      .function("socketInterceptCommands", &Handle::socket_intercept_commands)
      .function("socketHandleCommand", &Handle::socket_handle_command)
      .function("socketConnect", &Handle::socket_connect)
      .function("socketChooseServer", &Handle::socket_choose_server)
      .function("socketWrite", &Handle::socket_write)
      .function("socketRequest", &Handle::socket_request)
      .function("socketCancel", &Handle::socket_cancel)
      .function("socketClose", &Handle::socket_close)
      .function("socketEnd", &Handle::socket_end)
      .function("socketDisconnect", &Handle::socket_disconnect)
      .function("socketReconnect", &Handle::socket_reconnect)
      .function("socketSetReconnection", &Handle::socket_set_reconnection)
      .function("socketState", &Handle::socket_state)
      .function("socketUnacknowledged", &Handle::socket_unacknowledged)
      .function("socketUnsent", &Handle::socket_unsent)
      .function("socketSubject", &Handle::socket_subject)
      .function("socketIdOf", &Handle::socket_id_of)
      .function("socketLastAlive", &Handle::socket_last_alive);
}

}  // namespace

EMSCRIPTEN_BINDINGS(conat) {
  emscripten::class_<Handle> fabric("Fabric");
  fabric.constructor<const std::string&, bool, bool, double, double, double, bool,
                     const std::string&>();
  bind_memory(fabric);
  bind_client(fabric);
  bind_stores(fabric);
  bind_streams(fabric);
  bind_logs(fabric);
  bind_sockets(fabric);
  emscripten::function("isValidSubject", &valid_subject);
  emscripten::function("isValidPattern", &valid_pattern);
  emscripten::function("storageRefusal", &storage_refusal);
}
