// Coefficient unit: runs a scalar program for every channel of a table.
//
//   for ch in 0 .. ch_count - 1:  r0 .. r15 = 0;  run P[pc .. pc + length - 1]
//
// Two stages. Decode: the instruction from P, operands from the registers or from the result of this cycle, and the
// read request of ldc and lds. Execute: 1 cycle, shi, shr and mul 2, div and sqrt as their modules say, stc until the
// grant. A load of the word that is being stored waits for one cycle; programs follow each other without a gap
// from channel to channel. An error elsewhere ends it by rst_ni. Golden: hw/golden_coefficient.py execute_coefficient().

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
  output logic [15:0]        c_raddr_o,
  input  logic               c_rgnt_i,
  input  logic [63:0]        c_rdata_i,    // one cycle after the grant
  output logic               c_wreq_o,
  output logic [15:0]        c_waddr_o,
  output logic [63:0]        c_wdata_o,
  input  logic               c_wgnt_i
);

  // Channel base: up to 2^16 + 2^12 2^8; with an immediate it needs a sign.
  localparam int unsigned AddrW = 22;

  logic                    start, bad_program, halted_q;

  // Decode.
  logic                    d_valid_q, d_last, d_final, d_load, d_store, d_bad_op, d_bad_addr, d_waits, advance;
  scalar_instr_t           d_instr;
  logic [11:0]             pc_q, first_q, length_q, left_q, channels_q;
  logic [11:0]             pc_next;
  logic [AddrW-1:0]        channel_q;
  logic [15:0]             scalar_q;
  logic [7:0]              stride_q;
  logic signed [AddrW-1:0] d_addr;
  logic [63:0]             a_read, b_read, a, b;

  // Execute.
  logic                    x_valid_q, x_first_q, x_last_q, x_final_q, x_done, x_writes;
  logic [4:0]              x_op_q;
  logic [3:0]              x_rd_q;
  logic [15:0]             x_addr_q;
  logic [63:0]             a_q, b_q, result, alu_result, quotient;
  logic signed [14:0]      imm_q;
  logic [31:0]             root;
  logic                    divided, rooted;

  // Start, end, errors.
  assign start_ready_o = !d_valid_q && !x_valid_q && !halted_q;
  assign start         = start_valid_i && start_ready_o;
  assign bad_program   = 13'(instr_i.pc) + 13'(instr_i.length) > 13'(ProgramWords);
  assign idle_o        = !d_valid_q && !x_valid_q;
  assign done_o        = x_done && x_final_q;
  assign ev_scalar_o   = x_done;

  always_comb begin
    error_o = ErrorNone;
    if (start && bad_program) error_o = ErrorBadAddress;
    else if (d_valid_q && d_bad_op) error_o = ErrorMalformed;
    else if (d_valid_q && d_bad_addr) error_o = ErrorBadAddress;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) halted_q <= 1'b0;
    else if (error_o != ErrorNone) halted_q <= 1'b1;
  end

  // Decode: the word read from P stays addressed until it moves on.
  assign d_instr    = p_rdata_i;
  assign d_last     = left_q == 12'd1;
  assign d_final    = d_last && channels_q == 12'd1;
  assign d_load     = d_instr.op inside {ScalarLdc, ScalarLds};
  assign d_store    = d_instr.op == ScalarStc;
  assign d_addr     = (d_instr.op == ScalarLds ? AddrW'(scalar_q) : channel_q) + AddrW'(d_instr.imm);
  assign d_bad_op   = d_instr.op > ScalarSat || (d_instr.op == ScalarSat && (d_instr.imm < 15'sd1 || d_instr.imm > 15'sd62));
  assign d_bad_addr = (d_load || d_store) && (d_addr < 0 || d_addr >= AddrW'(TableWords));
  assign d_waits    = x_valid_q && x_op_q == ScalarStc && x_addr_q == d_addr[15:0];
  assign c_rreq_o   = d_valid_q && d_load && !d_bad_addr && !d_waits && (!x_valid_q || x_done);
  assign c_raddr_o  = d_addr[15:0];
  assign advance    = d_valid_q && error_o == ErrorNone && (!x_valid_q || x_done) && (!d_load || (c_rreq_o && c_rgnt_i));
  assign pc_next    = d_last ? first_q : pc_q + 12'd1;
  assign p_ren_o    = start || d_valid_q;
  assign p_addr_o   = start ? 16'(instr_i.pc) : advance ? 16'(pc_next) : 16'(pc_q);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || error_o != ErrorNone) d_valid_q <= 1'b0;
    else if (start) d_valid_q <= 1'b1;
    else if (advance && d_final) d_valid_q <= 1'b0;
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
    end else if (advance) begin
      pc_q   <= pc_next;
      left_q <= d_last ? length_q : left_q - 12'd1;
      if (d_last) begin
        channels_q <= channels_q - 12'd1;
        channel_q  <= channel_q + AddrW'(stride_q);
      end
    end
  end

  // The last instruction of a channel has no one to write for.
  assign x_writes = x_done && !x_last_q && x_op_q != ScalarStc;
  assign a        = x_writes && x_rd_q == d_instr.ra ? result : a_read;
  assign b        = x_writes && x_rd_q == d_instr.rb ? result : b_read;

  scalar_registers u_registers (
    .clk_i,
    .rst_ni,
    .clear_i (advance && d_last),
    .wen_i   (x_writes),
    .waddr_i (x_rd_q),
    .wdata_i (result),
    .a_addr_i(d_instr.ra),
    .a_data_o(a_read),
    .b_addr_i(d_instr.rb),
    .b_data_o(b_read)
  );

  // Execute.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) x_valid_q <= 1'b0;
    else if (advance) x_valid_q <= 1'b1;
    else if (x_done) x_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    x_first_q <= advance;
    if (advance) begin
      x_op_q    <= d_instr.op;
      x_rd_q    <= d_instr.rd;
      x_last_q  <= d_last;
      x_final_q <= d_final;
      x_addr_q  <= d_addr[15:0];
      a_q       <= a;
      b_q       <= b;
      imm_q     <= d_instr.imm;
    end
  end

  always_comb begin
    unique case (x_op_q)
      ScalarStc:                       x_done = x_valid_q && c_wgnt_i;
      ScalarShi, ScalarShr, ScalarMul: x_done = x_valid_q && !x_first_q;
      ScalarDiv:                       x_done = x_valid_q && divided;
      ScalarSqrt:                      x_done = x_valid_q && rooted;
      default:                         x_done = x_valid_q;
    endcase
  end

  always_comb begin
    unique case (x_op_q)
      ScalarLdc, ScalarLds: result = c_rdata_i;
      ScalarDiv:            result = quotient;
      ScalarSqrt:           result = {32'b0, root};
      default:              result = alu_result;
    endcase
  end

  assign c_wreq_o  = x_valid_q && x_op_q == ScalarStc;
  assign c_waddr_o = x_addr_q;
  assign c_wdata_o = a_q;

  scalar_alu u_alu (
    .clk_i,
    .start_i (x_valid_q && x_first_q),
    .op_i    (x_op_q),
    .a_i     (a_q),
    .b_i     (b_q),
    .imm_i   (imm_q),
    .result_o(alu_result)
  );

  scalar_divider u_divider (
    .clk_i,
    .rst_ni,
    .start_i   (x_valid_q && x_first_q && x_op_q == ScalarDiv),
    .a_i       (a_q),
    .b_i       (b_q),
    .done_o    (divided),
    .quotient_o(quotient)
  );

  scalar_root u_root (
    .clk_i,
    .rst_ni,
    .start_i(x_valid_q && x_first_q && x_op_q == ScalarSqrt),
    .a_i    (a_q),
    .done_o (rooted),
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
