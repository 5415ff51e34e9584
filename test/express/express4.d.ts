// Express 4 beside 5, for one test: what the middleware touches has the same types.
declare module 'express4' {
  import express from 'express'

  export default express
}
