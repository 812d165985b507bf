/* Tells what is on pictures of bytes that come over the UART: a line with the likeliest words, and one with words that are
 * drawn at temperature 1, of the numbers of seed 7. */
#include "board.h"
#include "bt_core.h"
#include "model.h"
#include "text.h"

static uint32_t memory[MODEL_SESSION_BYTES / 4];
static int32_t scores[MODEL_OUTPUTS];

static bt_status tell(bt_session *session, bt_random *random, uint16_t temperature) {
    bt_status status = BT_OK;
    for (size_t told = 0; told < MODEL_CAPTION_WORDS; told++) {
        size_t word;
        status = bt_session_next_word(session, random, temperature, scores, MODEL_OUTPUTS, &word);
        if (status != BT_OK || word == BT_WORD_END) break;
        write_number((int32_t)word);
        write_text(" ");
        status = bt_session_step_word(session, word);
        if (status != BT_OK) break;
    }
    write_text("\n");
    return status;
}

static bt_status run(bt_session *session, bt_random *random) {
    while (!bt_session_frame_complete(session)) {
        size_t taken;
        uint8_t value = board_read();
        bt_status status = bt_session_push_u8(session, &value, 1, &taken);
        if (status != BT_OK) return status;
    }
    bt_status status = bt_session_step(session);
    if (status == BT_OK) status = tell(session, NULL, 0);
    if (status == BT_OK) status = bt_session_begin_caption(session);
    if (status == BT_OK) status = tell(session, random, 256);
    return status;
}

int main(void) {
    bt_session *session;
    bt_random random;
    bt_status status = bt_session_start(model_data, MODEL_DATA_BYTES, memory, sizeof memory, &session);
    if (status == BT_OK) status = bt_session_self_test(session);
    if (status == BT_OK) status = bt_random_start(&random, 7, 0);
    if (status == BT_OK) write_text("ready\n");
    while (status == BT_OK) status = run(session, &random);
    write_text("error: ");
    write_text(bt_status_name(status));
    write_text("\n");
    for (;;) {
    }
}
