// load_engine with the bus names of cocotbext-axi and a memory port whose grant the bench allows or not.

module load_engine_bench
  import joulegrad_pkg::*;
#(
  parameter  int unsigned G       = 4,
  parameter  int unsigned AxiBits = 32,
  localparam int unsigned MemBits = G * 8 > 64 ? G * 8 : 64
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic [31:0]             base_i,
  input  logic [15:0]             image_count_i,
  input  logic                    stop_i,
  input  logic                    start_valid_i,
  output logic                    start_ready_o,
  input  logic [LoadInstrBits-1:0] instr_i,
  output logic                    done_o,
  output logic                    idle_o,
  output logic [3:0]              error_o,
  output logic                    wait_o,
  output logic                    il_ren_o,
  output logic [15:0]             il_addr_o,
  input  logic [31:0]             il_rdata_i,
  input  logic                    grant_allowed_i,
  output logic                    mem_written_o,
  output logic [3:0]              mem_wsel_o,
  output logic [15:0]             mem_waddr_o,
  output logic [MemBits-1:0]      mem_wdata_o,

  output logic [5:0]              m0_axi_arid,
  output logic [31:0]             m0_axi_araddr,
  output logic [7:0]              m0_axi_arlen,  // AXI4 models have 8 bits
  output logic [2:0]              m0_axi_arsize,
  output logic [1:0]              m0_axi_arburst,
  output logic                    m0_axi_arvalid,
  input  logic                    m0_axi_arready,
  input  logic [5:0]              m0_axi_rid,
  input  logic [AxiBits-1:0]      m0_axi_rdata,
  input  logic [1:0]              m0_axi_rresp,
  input  logic                    m0_axi_rlast,
  input  logic                    m0_axi_rvalid,
  output logic                    m0_axi_rready,

  output logic [5:0]              m1_axi_arid,
  output logic [31:0]             m1_axi_araddr,
  output logic [7:0]              m1_axi_arlen,  // AXI4 models have 8 bits
  output logic [2:0]              m1_axi_arsize,
  output logic [1:0]              m1_axi_arburst,
  output logic                    m1_axi_arvalid,
  input  logic                    m1_axi_arready,
  input  logic [5:0]              m1_axi_rid,
  input  logic [AxiBits-1:0]      m1_axi_rdata,
  input  logic [1:0]              m1_axi_rresp,
  input  logic                    m1_axi_rlast,
  input  logic                    m1_axi_rvalid,
  output logic                    m1_axi_rready
);

  logic mem_wreq;
  assign mem_written_o = mem_wreq && grant_allowed_i;
  assign m0_axi_arlen[7:4] = '0;
  assign m1_axi_arlen[7:4] = '0;

  load_engine #(
    .G(G),
    .AxiBits(AxiBits),
    .AWords(1024),
    .WWords(512),
    .VectorWords(256),
    .MaskWords(64),
    .TableWords(1024),
    .ProgramWords(1024),
    .ListWords(512),
    .BlockWords(16)
  ) u_load (
    .clk_i,
    .rst_ni,
    .base_i,
    .image_count_i,
    .stop_i,
    .start_valid_i,
    .start_ready_o,
    .instr_i         (load_instr_t'(instr_i)),
    .done_o,
    .idle_o,
    .error_o,
    .wait_o,
    .il_ren_o,
    .il_addr_o,
    .il_rdata_i,
    .mem_wreq_o      (mem_wreq),
    .mem_wgnt_i      (mem_written_o),
    .mem_wsel_o,
    .mem_waddr_o,
    .mem_wdata_o,
    .m0_axi_arid_o   (m0_axi_arid),
    .m0_axi_araddr_o (m0_axi_araddr),
    .m0_axi_arlen_o  (m0_axi_arlen[3:0]),
    .m0_axi_arsize_o (m0_axi_arsize),
    .m0_axi_arburst_o(m0_axi_arburst),
    .m0_axi_arvalid_o(m0_axi_arvalid),
    .m0_axi_arready_i(m0_axi_arready),
    .m0_axi_rid_i    (m0_axi_rid),
    .m0_axi_rdata_i  (m0_axi_rdata),
    .m0_axi_rresp_i  (m0_axi_rresp),
    .m0_axi_rlast_i  (m0_axi_rlast),
    .m0_axi_rvalid_i (m0_axi_rvalid),
    .m0_axi_rready_o (m0_axi_rready),
    .m1_axi_arid_o   (m1_axi_arid),
    .m1_axi_araddr_o (m1_axi_araddr),
    .m1_axi_arlen_o  (m1_axi_arlen[3:0]),
    .m1_axi_arsize_o (m1_axi_arsize),
    .m1_axi_arburst_o(m1_axi_arburst),
    .m1_axi_arvalid_o(m1_axi_arvalid),
    .m1_axi_arready_i(m1_axi_arready),
    .m1_axi_rid_i    (m1_axi_rid),
    .m1_axi_rdata_i  (m1_axi_rdata),
    .m1_axi_rresp_i  (m1_axi_rresp),
    .m1_axi_rlast_i  (m1_axi_rlast),
    .m1_axi_rvalid_i (m1_axi_rvalid),
    .m1_axi_rready_o (m1_axi_rready)
  );

endmodule
