// Coefficient unit: runs a scalar program for every channel of a table.
//
//   for ch in 0 .. ch_count - 1:  r0 .. r15 = 0;  run P[pc .. pc + length - 1]
//
// Three stages. Fetch: the word that P has read. Decode: a register with what is known of the instruction, its operands
// from the registers or from the result of this cycle, its address in C, and the read request of ldc and lds. Execute: 1 cycle, min, max,
// sat, shi, shr and mul 2, div and sqrt as their modules say, stc 1 more than its grant takes, so that a load sees what was
// stored before. Programs follow each other without a gap from channel to channel. An error elsewhere ends it by rst_ni. Golden: hw/golden_coefficient.py execute_coefficient().

module coefficient_engine
  import joulegrad_pkg::*;
#(
  parameter int unsigned TableWords   = 1024,
  parameter int unsigned ProgramWords = 1024
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  input  logic               start_valid_i,
  output logic               start_ready_o,
  input  coefficient_instr_t instr_i,
  output logic               done_o,
  output logic               idle_o,
  output logic [3:0]         error_o,      // an error code for one cycle; nothing runs after it until the reset
  output logic               ev_scalar_o,  // a scalar instruction is finished

  output logic               p_ren_o,
  output logic [15:0]        p_addr_o,
  input  logic [31:0]        p_rdata_i,    // one cycle after p_ren_o

  output logic               c_rreq_o,
  output logic               c_rclaim_o,   // nobody behind it may read: c_rreq_o, or a load from outside the table
  output logic [15:0]        c_raddr_o,
  input  logic               c_rgnt_i,     // the port is free, asked or not
  input  logic [63:0]        c_rdata_i,    // one cycle after the grant
  output logic               c_wreq_o,
  output logic [15:0]        c_waddr_o,
  output logic [63:0]        c_wdata_o,
  input  logic               c_wgnt_i
);

  // Channel base: up to 2^16 + 2^12 2^8; with an immediate it needs a sign.
  localparam int unsigned AddrW = 22;

  logic                    start, halted_q;
  logic [3:0]              error;

  // Fetch.
  logic                    f_valid_q, f_new_q, f_last, f_final, f_taken;
  scalar_instr_t           f_instr;
  logic [11:0]             pc_q, first_q, length_q, left_q, channels_q;
  logic [11:0]             pc_next;
  logic [AddrW-1:0]        channel_q;
  logic [15:0]             scalar_q;
  logic [7:0]              stride_q;

  // Decode.
  logic                    d_valid_q, d_last_q, d_final_q, d_load_q, d_store_q, d_bad_op_q, d_imm_b_q, d_bad_addr, d_bad;
  logic                    advance;
  scalar_instr_t           d_instr_q;
  logic [AddrW-1:0]        d_base_q, d_addr;
  logic [63:0]             a_read, b_read, a, b;

  // Execute. x_slow_q: two cycles.
  logic                    x_valid_q, x_first_q, x_last_q, x_final_q, x_done_q, x_writes, x_here;
  logic                    x_slow_q, x_load_q, x_store_q, x_divide_q, x_root_q;
  logic                    x_writing_q;  // the word to be stored asks for its grant
  logic [3:0]              x_rd_q;
  logic [15:0]             x_addr_q;
  logic [63:0]             a_q, b_q, result, quotient, alu_early;
  (* keep *)
  logic [63:0]             early, late;  // of the result, the table's word left out
  logic [31:0]             root;
  logic                    divided, rooted;   // in the next cycle
  logic                    d_slow, d_fast, x_ends;

  // Start, end, errors.
  assign start_ready_o = !f_valid_q && !d_valid_q && !x_valid_q && !halted_q;
  assign start         = start_valid_i && start_ready_o;
  assign idle_o        = !f_valid_q && !d_valid_q && !x_valid_q;
  assign done_o        = x_done_q && x_final_q;
  assign ev_scalar_o   = x_done_q;

  always_comb begin
    error = ErrorNone;
    if (f_new_q && 13'(pc_q) + 13'(length_q) > 13'(ProgramWords)) error = ErrorBadAddress;
    else if (d_valid_q && d_bad_op_q) error = ErrorMalformed;
    else if (d_valid_q && d_bad_addr) error = ErrorBadAddress;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      halted_q <= 1'b0;
      error_o  <= ErrorNone;
    end else begin
      if (error != ErrorNone) halted_q <= 1'b1;
      error_o <= error;
    end
  end

  // Fetch: the word read from P stands until decode takes it, and the next one is read.
  assign f_instr  = p_rdata_i;
  assign f_last   = left_q == 12'd1;
  assign f_final  = f_last && channels_q == 12'd1;
  assign f_taken  = f_valid_q && (!d_valid_q || advance);
  assign pc_next  = f_last ? first_q : pc_q + 12'd1;
  assign p_ren_o  = start || f_taken;
  assign p_addr_o = start ? 16'(instr_i.pc) : 16'(pc_next);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || error != ErrorNone) begin
      f_valid_q <= 1'b0;
      f_new_q   <= 1'b0;
    end else begin
      f_new_q <= start;
      if (start) f_valid_q <= 1'b1;
      else if (f_taken && f_final) f_valid_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      pc_q       <= instr_i.pc;
      first_q    <= instr_i.pc;
      length_q   <= instr_i.length;
      left_q     <= instr_i.length;
      channels_q <= instr_i.ch_count;
      channel_q  <= AddrW'(instr_i.ch_base);
      stride_q   <= instr_i.ch_stride;
      scalar_q   <= instr_i.sc_base;
    end else if (f_taken) begin
      pc_q   <= pc_next;
      left_q <= f_last ? length_q : left_q - 12'd1;
      if (f_last) begin
        channels_q <= channels_q - 12'd1;
        channel_q  <= channel_q + AddrW'(stride_q);
      end
    end
  end

  // Decode. An address below 0 is far above the table as well. What is wrong goes on, but nothing comes of it: it is not valid in
  // the next stage, and fetch has ended.
  assign d_addr      = d_base_q + AddrW'(d_instr_q.imm);
  assign d_bad_addr  = (d_load_q || d_store_q) && d_addr >= AddrW'(TableWords);
  assign d_bad       = d_bad_op_q || d_bad_addr;
  assign c_rclaim_o = d_valid_q && d_load_q && (!x_valid_q || x_done_q);
  assign c_rreq_o    = c_rclaim_o && !d_bad_addr;
  assign c_raddr_o   = d_addr[15:0];
  assign advance     = d_valid_q && (!x_valid_q || x_done_q) && (!d_load_q || c_rgnt_i);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || error != ErrorNone) d_valid_q <= 1'b0;
    else if (f_taken) d_valid_q <= 1'b1;
    else if (advance) d_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (f_taken) begin
      d_instr_q  <= f_instr;
      d_last_q   <= f_last;
      d_final_q  <= f_final;
      d_load_q   <= f_instr.op inside {ScalarLdc, ScalarLds};
      d_store_q  <= f_instr.op == ScalarStc;
      d_imm_b_q  <= f_instr.op inside {ScalarAddi, ScalarShi, ScalarSat};
      d_bad_op_q <= f_instr.op > ScalarSat || (f_instr.op == ScalarSat && (f_instr.imm < 15'sd1 || f_instr.imm > 15'sd62));
      d_base_q   <= f_instr.op == ScalarLds ? AddrW'(scalar_q) : channel_q;
    end
  end

  // The last instruction of a channel has no one to write for.
  assign x_here   = x_valid_q && !x_last_q && !x_store_q;
  assign x_writes = x_here && x_done_q;
  assign a        = x_here && x_rd_q == d_instr_q.ra ? result : a_read;
  assign b        = d_imm_b_q ? 64'(d_instr_q.imm) : x_here && x_rd_q == d_instr_q.rb ? result : b_read;

  scalar_registers u_registers (
    .clk_i,
    .rst_ni,
    .clear_i (advance && d_last_q),
    .wen_i   (x_writes),
    .waddr_i (x_rd_q),
    .wdata_i (result),
    .a_addr_i(d_instr_q.ra),
    .a_data_o(a_read),
    .b_addr_i(d_instr_q.rb),
    .b_data_o(b_read)
  );

  // Execute. Whether an instruction is done is known a cycle ahead, since all else waits for it.
  assign d_slow = d_instr_q.op inside {ScalarMin, ScalarMax, ScalarSat, ScalarShi, ScalarShr, ScalarMul};
  assign d_fast = !d_slow && !(d_instr_q.op inside {ScalarStc, ScalarDiv, ScalarSqrt});
  assign x_ends = (x_writing_q && c_wgnt_i) || divided || rooted || (x_valid_q && x_slow_q && x_first_q);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      x_valid_q   <= 1'b0;
      x_done_q    <= 1'b0;
      x_writing_q <= 1'b0;
    end else begin
      x_done_q <= advance ? d_fast && !d_bad : x_ends;
      if (advance) x_valid_q <= !d_bad;
      else if (x_done_q) x_valid_q <= 1'b0;
      x_writing_q <= advance ? d_store_q && !d_bad : x_writing_q && !c_wgnt_i;
    end
  end

  always_ff @(posedge clk_i) begin
    x_first_q <= advance;
    if (advance) begin
      x_rd_q     <= d_instr_q.rd;
      x_last_q   <= d_last_q;
      x_final_q  <= d_final_q;
      x_addr_q   <= d_addr[15:0];
      x_load_q   <= d_load_q;
      x_store_q  <= d_store_q;
      x_divide_q <= d_instr_q.op == ScalarDiv;
      x_root_q   <= d_instr_q.op == ScalarSqrt;
      x_slow_q   <= d_slow;
      a_q        <= a;
      b_q        <= b;
    end
  end


  // What comes last in a cycle, sums and the table's word, is put together last.
  assign early  = ({64{x_divide_q}} & quotient) | (x_root_q ? 64'(root) : '0) | alu_early;
  assign result = ({64{x_load_q}} & c_rdata_i) | early | late;

  assign c_wreq_o  = x_writing_q;
  assign c_waddr_o = x_addr_q;
  assign c_wdata_o = a_q;

  scalar_alu u_alu (
    .clk_i,
    .next_i   (advance),
    .next_op_i(d_instr_q.op),
    .a_i      (a_q),
    .b_i      (b_q),
    .early_o  (alu_early),
    .late_o   (late)
  );

  scalar_divider u_divider (
    .clk_i,
    .rst_ni,
    .start_i   (x_valid_q && x_first_q && x_divide_q),
    .a_i       (a_q),
    .b_i       (b_q),
    .done_next_o(divided),
    .quotient_o(quotient)
  );

  scalar_root u_root (
    .clk_i,
    .rst_ni,
    .start_i(x_valid_q && x_first_q && x_root_q),
    .a_i    (a_q),
    .done_next_o(rooted),
    .root_o (root)
  );

  logic unused_instr;
  assign unused_instr = ^{instr_i.opcode, instr_i.wait_, instr_i.signal_, instr_i.spare};

`ifndef SYNTHESIS
  ReadIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni)
    c_rreq_o && !c_rgnt_i |=> c_rreq_o && $stable(c_raddr_o));
  WriteIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni)
    c_wreq_o && !c_wgnt_i |=> c_wreq_o && $stable(c_waddr_o) && $stable(c_wdata_o));
`endif

endmodule
