// control with counters behind it, its AXI pins named without direction for the bus model.

module control_bench import joulegrad_pkg::*; #(
  parameter int unsigned G       = 4,
  parameter int unsigned AxiBits = 32
) (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic [9:0]  s_axi_awaddr,
  input  logic        s_axi_awvalid,
  output logic        s_axi_awready,
  input  logic [31:0] s_axi_wdata,
  input  logic [3:0]  s_axi_wstrb,
  input  logic        s_axi_wvalid,
  output logic        s_axi_wready,
  output logic [1:0]  s_axi_bresp,
  output logic        s_axi_bvalid,
  input  logic        s_axi_bready,
  input  logic [9:0]  s_axi_araddr,
  input  logic        s_axi_arvalid,
  output logic        s_axi_arready,
  output logic [31:0] s_axi_rdata,
  output logic [1:0]  s_axi_rresp,
  output logic        s_axi_rvalid,
  input  logic        s_axi_rready,
  output logic        irq_o,

  output logic        clear_o,
  output logic        start_o,
  output logic        stop_o,
  output logic        run_o,
  output logic [31:0] base_o,
  output logic [31:0] seg_address_o,
  output logic [31:0] seg_count_o,
  input  logic        finished_i,
  input  logic        drained_i,
  input  logic [3:0]  error_i,
  input  logic [2:0]  error_engine_i,
  input  logic [31:0] index_i,
  input  logic [NumCounters-1:0][2:0] increment_i
);

  logic        clear_counters, settled;
  logic [4:0]  counter;
  logic [63:0] counter_data;

  control #(.ConfigHash(32'hC0FFEE42)) u_control (
    .clk_i, .rst_ni,
    .s_axi_awaddr_i(s_axi_awaddr), .s_axi_awvalid_i(s_axi_awvalid), .s_axi_awready_o(s_axi_awready),
    .s_axi_wdata_i(s_axi_wdata), .s_axi_wstrb_i(s_axi_wstrb), .s_axi_wvalid_i(s_axi_wvalid), .s_axi_wready_o(s_axi_wready),
    .s_axi_bresp_o(s_axi_bresp), .s_axi_bvalid_o(s_axi_bvalid), .s_axi_bready_i(s_axi_bready),
    .s_axi_araddr_i(s_axi_araddr), .s_axi_arvalid_i(s_axi_arvalid), .s_axi_arready_o(s_axi_arready),
    .s_axi_rdata_o(s_axi_rdata), .s_axi_rresp_o(s_axi_rresp), .s_axi_rvalid_o(s_axi_rvalid), .s_axi_rready_i(s_axi_rready),
    .irq_o, .clear_o, .clear_counters_o(clear_counters), .start_o, .stop_o, .run_o,
    .base_o, .seg_address_o, .seg_count_o,
    .finished_i, .drained_i, .error_i, .error_engine_i, .index_i,
    .counter_o(counter), .counter_data_i(counter_data), .settled_i(settled)
  );

  counters #(.G(G), .AxiBits(AxiBits)) u_counters (
    .clk_i, .rst_ni, .clear_i(clear_counters), .run_i(run_o), .increment_i,
    .settled_o(settled), .raddr_i(counter), .rdata_o(counter_data)
  );

endmodule
