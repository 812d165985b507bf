/* Classifies what comes over a UART: after every step a line with the step's number, the label of the largest
 * score, and all scores; after a detection one that says so. A product puts its sensor in the place of board_read,
 * and the rules that `bt-train detect` found in the place of this one. */
#include "board.h"
#include "bt_core.h"
#include "model.h"
#include "text.h"

static uint32_t memory[MODEL_SESSION_BYTES / 4];
static uint32_t detector_memory[BT_DETECTOR_BYTES(MODEL_OUTPUTS) / 4];
static int32_t scores[MODEL_OUTPUTS];

/* Of every class: from 0.6 on, smoothed over two steps, then a pause of three. */
static const bt_rule rule = {19661, 1, 3};

/* One value as the model takes it, little-endian from the line. */
static bt_status push_value(bt_session *session) {
    size_t taken;
#if MODEL_INPUT_TYPE == BT_INPUT_U8
    uint8_t value = board_read();
    return bt_session_push_u8(session, &value, 1, &taken);
#elif MODEL_INPUT_TYPE == BT_INPUT_I8
    int8_t value = (int8_t)board_read();
    return bt_session_push_i8(session, &value, 1, &taken);
#else
    uint8_t low = board_read();
    int16_t value = (int16_t)(low | board_read() << 8);
    return bt_session_push_i16(session, &value, 1, &taken);
#endif
}

static void report(bt_session *session) {
    write_text("step ");
    write_number((int32_t)bt_session_steps(session));
    write_text(" ");
    write_text(model_labels[bt_argmax(scores, MODEL_OUTPUTS)]);
    for (size_t output = 0; output < MODEL_OUTPUTS; output++) {
        write_text(" ");
        write_number(scores[output]);
    }
    write_text("\n");
}

static bt_status look(bt_session *session, bt_detector *detector) {
    bool detected;
    bt_detection detection;
    bt_status status = bt_detector_step(detector, session, scores, MODEL_OUTPUTS, &detected, &detection);
    if (status != BT_OK) return status;
    report(session);
    if (!detected) return BT_OK;
    write_text("detected ");
    write_text(model_labels[detection.output]);
    write_text(" ");
    write_number((int32_t)detection.step);
    write_text(" ");
    write_number(detection.confidence);
    write_text("\n");
    return BT_OK;
}

static bt_status run(void) {
    bt_session *session;
    bt_detector *detector;
    bt_status status = bt_session_start(model_data, MODEL_DATA_BYTES, memory, sizeof memory, &session);
    if (status == BT_OK) status = bt_session_self_test(session);
    if (status == BT_OK) status = bt_detector_start(session, detector_memory, sizeof detector_memory, &detector);
    for (size_t output = 0; status == BT_OK && output < MODEL_OUTPUTS; output++)
        status = bt_detector_watch(detector, output, &rule);
    if (status == BT_OK) write_text("ready\n");
    while (status == BT_OK) {
        status = push_value(session);
        if (status != BT_OK || !bt_session_frame_complete(session)) continue;
        status = bt_session_step(session);
        if (status == BT_OK) status = look(session, detector);
    }
    return status;
}

int main(void) {
    bt_status status = run();
    write_text("error: ");
    write_text(bt_status_name(status));
    write_text("\n");
    for (;;) {
    }
}
