// The array engine: runs array instructions one by one.
//
//   cycle 0   sequencer issues a slot (or the loader reads a weight word)
//         1   registered addresses at memories A and W
//         2   words out of the memories
//         3   operands, rounded where bits are dropped, zeroed where outside or not selected; with pair what is left of this
//             slot's and of the slot before's side by side
//         4   mac_array multiplies; sums leave after cycle 7 on the accumulate port
//
// done_o pulses when the instruction's last accumulator row is written. instr_i is needed during the start
// handshake only. Throughput: one slot per cycle. Golden: hw/golden_array.py execute_array().

module array_engine import joulegrad_pkg::*; #(
  parameter  int unsigned G            = 16,    // side of the array
  parameter  bit          PackProducts = 1'b1,  // see mac_pair
  parameter  int unsigned PassTaps     = 2,     // 1: no paired taps
  localparam int unsigned IndexW       = $clog2(G)
) (
  input  logic            clk_i,
  input  logic            rst_ni,

  input  logic            start_valid_i,
  output logic            start_ready_o,
  input  array_instr_t    instr_i,
  output logic            done_o,
  output logic            idle_o,
  input  logic [15:0]     image_count_i,

  output logic            a_ren_o,
  output logic [15:0]     a_addr_o,
  input  logic [8*G-1:0]  a_rdata_i,
  output logic            w_ren_o,
  output logic [15:0]     w_addr_o,
  input  logic [8*G-1:0]  w_rdata_i,
  output logic            bl_ren_o,
  output logic [15:0]     bl_addr_o,
  input  logic [63:0]     bl_rdata_i,

  output logic            acc_valid_o,
  output logic [15:0]     acc_addr_o,
  output logic            acc_max_o,
  output logic [32*G-1:0] acc_data_o,
  input  logic            acc_busy_i,

  output logic            ev_slot_o,
  output logic [1:0]      ev_product_o,
  output logic            ev_mac_o,
  output logic            ev_mac_pair_o,  // instead, where the slot is of paired taps
  output logic            ev_block_o,
  output logic            ev_drain_o
);

  typedef struct packed {
    logic        slot;
    logic        mul;
    logic        acc;
    logic        swap;
    logic        last;
    logic        outside;
    logic [9:0]  tap;
    logic [DitherBits-1:0] dither;
    logic [15:0] c_addr;
  } slot_t;

  array_instr_t       instr_q;
  logic [15:0]        count_q;  // in the cycle of the start
  logic [11:0]        images_q;
  logic               busy_q, start_q, start;

  logic               passes_busy, pass_valid, pass_ready, pass_taken, pass_load;
  logic [9:0]         pass_tap;
  logic [15:0]        row_step, pass_sy, pass_sx, pass_offset, pass_a, pass_w, pass_b, pass_c;
  logic               slots_busy, swap_wait, w_claim;
  logic               slot, in_range, slot_a_ren, slot_w_ren, load_ren, load_block;
  logic [15:0]        slot_a_addr, slot_w_addr, load_addr;
  logic [IndexW-1:0]  load_index;
  slot_t              issue, address_q, read_q, operand_q;
  logic               load_address_q, load_read_q, load_operand_q;
  logic [IndexW-1:0]  load_address_index_q, load_read_index_q, load_operand_index_q;
  logic [G-1:0][7:0]  a_q, w_q;
  logic               a_ren_q, w_ren_q;
  logic [15:0]        pair_skip_q;         // accumulator rows from a pass's first sums to its second ones
  logic [6:0]         a_drop_q, b_drop_q;  // low bits that operands lose
  logic [G-1:0][7:0]  a_rounded, b_rounded, row, col;
  logic [G-1:0][12:0] lanes;
  logic [G-1:0][4:0]  before_q;            // what is left of the slot before
  logic               array_busy, pipeline_busy;

  // One instruction at a time: kept from its start until its last row is written.
  assign start         = start_valid_i && start_ready_o;
  assign start_ready_o = !busy_q;
  assign idle_o        = !busy_q;
  assign pipeline_busy = address_q.acc || address_q.last || read_q.acc || read_q.last || operand_q.acc || operand_q.last
                         || array_busy || acc_busy_i;
  assign done_o        = busy_q && !start_q && !passes_busy && !slots_busy && !pipeline_busy;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q  <= 1'b0;
      start_q <= 1'b0;
    end else begin
      start_q <= start;
      if (start) busy_q <= 1'b1;
      else if (done_o) busy_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      instr_q <= instr_i;
      if (PassTaps == 1) begin
        instr_q.pair        <= 1'b0;
        instr_q.down        <= 1'b0;
        instr_q.c_step_pair <= 16'(G);
      end
      count_q <= image_count_i;
    end
    pair_skip_q <= instr_q.c_step_pair - 16'(G);
    a_drop_q <= 7'((8'd1 << instr_q.a_drop) - 8'd1);
    b_drop_q <= 7'((8'd1 << instr_q.b_drop) - 8'd1);
    if (start_q) images_q <= images_of(instr_q.clip, instr_q.n_img, instr_q.slot, count_q);
  end

  array_passes u_passes (
    .clk_i,
    .rst_ni,
    .start_i      (start_q),
    .instr_i      (instr_q),
    .bl_ren_o,
    .bl_addr_o,
    .bl_rdata_i,
    .busy_o       (passes_busy),
    .row_step_o   (row_step),
    .pass_valid_o (pass_valid),
    .pass_taken_i (pass_taken),
    .pass_load_o  (pass_load),
    .pass_tap_o   (pass_tap),
    .pass_sy_o    (pass_sy),
    .pass_sx_o    (pass_sx),
    .pass_offset_o(pass_offset),
    .pass_a_o     (pass_a),
    .pass_w_o     (pass_w),
    .pass_b_o     (pass_b),
    .pass_c_o     (pass_c)
  );

  weight_loader #(
    .G(G)
  ) u_loader (
    .clk_i,
    .rst_ni,
    .pass_valid_i(pass_valid),
    .pass_load_i (pass_load),
    .pass_b_i    (pass_b),
    .pass_taken_i(pass_taken),
    .pass_ready_o(pass_ready),
    .swap_wait_i (swap_wait),
    .w_claim_i   (w_claim),
    .ren_o       (load_ren),
    .addr_o      (load_addr),
    .index_o     (load_index),
    .block_o     (load_block)
  );

  array_sequencer #(
    .G(G)
  ) u_sequencer (
    .clk_i,
    .rst_ni,
    .instr_i      (instr_q),
    .images_i     (images_q),
    .row_step_i   (row_step),
    .pass_ready_i (pass_ready),
    .pass_taken_o (pass_taken),
    .pass_load_i  (pass_load),
    .pass_tap_i   (pass_tap),
    .pass_sy_i    (pass_sy),
    .pass_sx_i    (pass_sx),
    .pass_offset_i(pass_offset),
    .pass_a_i     (pass_a),
    .pass_w_i     (pass_w),
    .pass_c_i     (pass_c),
    .busy_o       (slots_busy),
    .swap_wait_o  (swap_wait),
    .w_claim_o    (w_claim),
    .slot_o       (slot),
    .inside_o     (in_range),
    .a_ren_o      (slot_a_ren),
    .a_addr_o     (slot_a_addr),
    .w_ren_o      (slot_w_ren),
    .w_addr_o     (slot_w_addr),
    .mul_o        (issue.mul),
    .acc_o        (issue.acc),
    .swap_o       (issue.swap),
    .last_o       (issue.last),
    .tap_o        (issue.tap),
    .dither_o     (issue.dither),
    .c_addr_o     (issue.c_addr)
  );
  assign issue.outside = !in_range;
  assign issue.slot    = slot;

  // Cycle 1: addresses. Cycle 2: words come from the memories. Cycle 3: operands.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      a_ren_o        <= 1'b0;
      w_ren_o        <= 1'b0;
      address_q      <= '0;
      read_q         <= '0;
      operand_q      <= '0;
      load_address_q <= 1'b0;
      load_read_q    <= 1'b0;
      load_operand_q <= 1'b0;
      ev_slot_o      <= 1'b0;
      ev_mac_o       <= 1'b0;
      ev_mac_pair_o  <= 1'b0;
      ev_block_o     <= 1'b0;
    end else begin
      a_ren_o        <= slot_a_ren;
      w_ren_o        <= slot_w_ren || load_ren;
      address_q      <= issue;
      read_q         <= address_q;
      operand_q      <= read_q;
      load_address_q <= load_ren;
      load_read_q    <= load_address_q;
      load_operand_q <= load_read_q;
      ev_slot_o      <= slot;
      ev_mac_o       <= in_range && !instr_q.pair;
      ev_mac_pair_o  <= issue.mul && instr_q.pair;
      ev_block_o     <= load_block;
    end
  end

  always_ff @(posedge clk_i) begin
    if (slot_a_ren) a_addr_o <= slot_a_addr;
    if (slot_w_ren || load_ren) w_addr_o <= load_ren ? load_addr : slot_w_addr;
    if (load_ren) load_address_index_q <= load_index;
    if (load_address_q) load_read_index_q <= load_address_index_q;
    if (load_read_q) load_operand_index_q <= load_read_index_q;
    a_ren_q <= a_ren_o;
    w_ren_q <= w_ren_o;
    if (a_ren_q) a_q <= a_rdata_i;
    if (w_ren_q) w_q <= w_rdata_i;
  end
  assign ev_product_o = instr_q.product;

  operand_rounder #(
    .G(G)
  ) u_round_a (
    .drop_i (a_drop_q),
    .added_i(a_drop_q & ~(a_drop_q >> 1)),
    .word_i (a_q),
    .word_o (a_rounded)
  );

  operand_rounder #(
    .G(G)
  ) u_round_b (
    .drop_i (b_drop_q),
    .added_i(7'(operand_q.dither) & b_drop_q),
    .word_i (w_q),
    .word_o (b_rounded)
  );

  // Outside pixels are zero, and with select those whose index is another tap.
  always_comb begin
    for (int unsigned r = 0; r < G; r++) begin
      row[r] = a_rounded[r];
      if (operand_q.outside || (instr_q.select && w_q[r] != operand_q.tap[7:0])) row[r] = '0;
    end
  end

  // Operands of paired taps are what their dropped bits leave of them: the first tap's is that of the slot before, and what a
  // negative one borrows is in the second's.
  always_ff @(posedge clk_i) begin
    for (int unsigned r = 0; r < G; r++) begin
      if (operand_q.slot) before_q[r] <= row[r][7:PairADrop];
    end
  end

  always_comb begin
    for (int unsigned r = 0; r < G; r++) begin
      automatic logic [4:0] second = row[r][7:PairADrop] - 5'(before_q[r][4]);
      lanes[r] = instr_q.pair ? {second, 8'(signed'(before_q[r]))} : 13'(signed'(row[r]));
      col[r]   = instr_q.pair ? 8'(signed'(b_rounded[r][7:PairBDrop])) : b_rounded[r];
    end
  end

  mac_array #(
    .G           (G),
    .PackProducts(PackProducts)
  ) u_mac_array (
    .clk_i,
    .rst_ni,
    .os_i            (instr_q.os),
    .pair_i          (instr_q.pair),
    .pair_skip_i     (pair_skip_q),
    .mul_i           (operand_q.mul),
    .acc_i           (operand_q.acc),
    .swap_i          (operand_q.swap),
    .last_i          (operand_q.last),
    .max_i           (instr_q.acc_max),
    .tap_i           (operand_q.tap[7:0]),
    .addr_i          (operand_q.c_addr),
    .row_i           (lanes),
    .col_i           (col),
    .load_i          (load_operand_q),
    .load_transpose_i(instr_q.transpose),
    .load_index_i    (load_operand_index_q),
    .load_word_i     (w_q),
    .busy_o          (array_busy),
    .drain_o         (ev_drain_o),
    .acc_valid_o,
    .acc_addr_o,
    .acc_max_o,
    .acc_data_o
  );

`ifndef SYNTHESIS
  OneReaderOfWA : assert property (@(posedge clk_i) disable iff (!rst_ni) !(slot_w_ren && load_ren));
  DoneWhenBusyA : assert property (@(posedge clk_i) disable iff (!rst_ni) done_o |-> busy_q);
`endif

endmodule
